package org.pytorch;

import org.jetbrains.annotations.NotNull;

/**
 * The native library behind this package.
 *
 * <p>It is loaded when it is first needed. An app can load it at a moment of its own choice, for
 * instance to keep that off the thread that draws.
 */
public final class NativeLibrary {
  private static final String NAME = "pytorch_jni_lite";
  private static boolean loaded;

  private NativeLibrary() {}

  /**
   * Loads {@code libpytorch_jni_lite.so}, unless that is done.
   *
   * @throws UnsatisfiedLinkError if there is none for this CPU, or it cannot be loaded
   */
  public static synchronized void load() {
    if (loaded) {
      return;
    }
    try {
      System.loadLibrary(NAME);
    } catch (UnsatisfiedLinkError error) {
      throw explain(error);
    }
    loaded = true;
  }

  /**
   * Returns the operators that the library has, as {@code aten::add.Tensor}, sorted. A model that needs another one is
   * refused when it is loaded.
   *
   * @return a copy of the list
   * @throws UnsatisfiedLinkError as {@link #load}
   */
  @NotNull
  public static String[] operators() {
    load();
    return listOperators();
  }

  /**
   * Returns where models can run with this library on this device.
   *
   * @return {@link Device#CPU}, and {@link Device#VULKAN} where the library has its kernels and the device a GPU for it
   * @throws UnsatisfiedLinkError as {@link #load}
   */
  @NotNull
  public static Device[] devices() {
    load();
    return hasGpu() ? new Device[] {Device.CPU, Device.VULKAN} : new Device[] {Device.CPU};
  }

  /**
   * Returns the version of PyTorch that the library is built from.
   *
   * @return for instance {@code 2.6.0}
   * @throws UnsatisfiedLinkError as {@link #load}
   */
  @NotNull
  public static String pytorchVersion() {
    load();
    return version();
  }

  private static native boolean hasGpu();

  private static native String[] listOperators();

  private static native String version();

  private static UnsatisfiedLinkError explain(UnsatisfiedLinkError cause) {
    String text =
        "org.pytorch cannot load lib%s.so on a CPU of type %s: the app has to contain it "
            + "for this type, and nothing may rename its classes (%s)";
    String architecture = System.getProperty("os.arch");
    UnsatisfiedLinkError error =
        new UnsatisfiedLinkError(String.format(text, NAME, architecture, cause.getMessage()));
    error.initCause(cause);
    return error;
  }
}
