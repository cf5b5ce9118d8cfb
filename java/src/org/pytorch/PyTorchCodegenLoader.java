package org.pytorch;

/**
 * Here for apps that were compiled against it. Registrations of operators, for which it once loaded
 * a library of their own, are part of {@code libpytorch_jni_lite.so}.
 */
public class PyTorchCodegenLoader {
  private PyTorchCodegenLoader() {}

  /** Does nothing. */
  public static void loadNativeLibs() {}
}
