package org.pytorch;

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
