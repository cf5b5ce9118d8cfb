package org.pytorch;

import android.content.res.AssetManager;
import org.jetbrains.annotations.NotNull;
import org.jetbrains.annotations.Nullable;

/** Settings of the native side, and models among an app's assets. */
public final class PyTorchAndroid {
  /** Has no use: all members are static. */
  public PyTorchAndroid() {}

  /**
   * Loads a model from the app's assets, as {@link
   * LiteModuleLoader#loadModuleFromAsset(AssetManager, String, Device)} does.
   *
   * @param assetManager of the app's context
   * @param assetName path of the model below {@code assets/}
   * @param device where to run the model
   * @return the model
   * @throws IllegalArgumentException if there is no such asset
   * @throws RuntimeException if the asset cannot be read, or needs operators the library lacks
   */
  @NotNull
  public static Module loadModuleFromAsset(
      @NotNull final AssetManager assetManager,
      @NotNull final String assetName,
      @NotNull final Device device) {
    return LiteModuleLoader.loadModuleFromAsset(assetManager, assetName, device);
  }

  /**
   * Loads a model from the app's assets, to run on the CPU.
   *
   * @param assetManager of the app's context
   * @param assetName path of the model below {@code assets/}
   * @return the model
   * @throws IllegalArgumentException if there is no such asset
   * @throws RuntimeException if the asset cannot be read, or needs operators the library lacks
   */
  @NotNull
  public static Module loadModuleFromAsset(
      @NotNull final AssetManager assetManager, @NotNull final String assetName) {
    return LiteModuleLoader.loadModuleFromAsset(assetManager, assetName);
  }

  /**
   * Sets how many threads compute, with the one that calls. All modules share them. It may be called at any time, also
   * after modules were loaded and run: it waits until running calls end, and others wait for it.
   *
   * @param numThreads at least one
   * @throws IllegalArgumentException for zero and less, and for more than 64, unless the device has more than 16 processors
   */
  public static void setNumThreads(int numThreads) {
    if (numThreads < 1) {
      throw new IllegalArgumentException(numThreads + " threads cannot compute; 1 is the least");
    }
    NativeLibrary.load();
    nativeSetNumThreads(numThreads);
  }

  /**
   * Sets whether threads wait for their next work awake, at first. That saves some microseconds for each operator, and
   * costs up to a tenth of a millisecond of each processor after every call of a module. All modules share it.
   *
   * @param on true, as at the start, or false: threads sleep at once
   */
  public static void setSpinning(boolean on) {
    NativeLibrary.load();
    nativeSetSpinning(on);
  }

  /**
   * Sets how many instructions of its bytecode a model may take in one call. All modules share it. A
   * call that takes more throws a RuntimeException, as does loading; so a model from elsewhere cannot run for
   * ever. What one operator does is one instruction: models take some thousands.
   *
   * @param instructions the limit, or zero for none, as at the start
   * @throws IllegalArgumentException for less than zero
   */
  public static void setStepLimit(long instructions) {
    if (instructions < 0) {
      throw new IllegalArgumentException(instructions + " instructions are no limit");
    }
    NativeLibrary.load();
    nativeSetStepLimit(instructions);
  }

  /**
   * Keeps in a file what the driver of the GPU makes of shaders, so that a later process need not wait until it has made
   * that again. Name the file before the first model is loaded. It is read then, and written at the end of loads and
   * calls that made more. A file that is damaged, or of another device or driver, is ignored and replaced. It has no
   * effect where the library runs models on the CPU only.
   *
   * @param path of the file, in a folder that only the app can write to, as {@code Context.getCodeCacheDir()} is; or
   *     null, as at the start, for no file
   */
  public static void setPipelineCache(@Nullable String path) {
    NativeLibrary.load();
    nativeSetPipelineCache(path);
  }

  private static native void nativeSetNumThreads(int numThreads);

  private static native void nativeSetPipelineCache(String path);

  private static native void nativeSetSpinning(boolean on);

  private static native void nativeSetStepLimit(long instructions);
}
