package org.pytorch.torchvision;

/** Constants that the Android Gradle plugin gives a library, under the names it gives them. */
public final class BuildConfig {
  /** Whether this is a debug build of the library; never. */
  public static final boolean DEBUG = false;

  /** Name of this package. */
  public static final String LIBRARY_PACKAGE_NAME = "org.pytorch.torchvision";

  /** Name of the build type. */
  public static final String BUILD_TYPE = "release";

  /** Has no use: all members are static. */
  public BuildConfig() {}
}
