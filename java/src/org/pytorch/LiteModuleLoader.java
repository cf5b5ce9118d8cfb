package org.pytorch;

import android.content.res.AssetManager;
import java.util.Map;
import org.jetbrains.annotations.NotNull;
import org.jetbrains.annotations.Nullable;

/** Loads models that were saved for the lite interpreter ({@code .ptl}). */
public class LiteModuleLoader {
  /** Has no use: all members are static. */
  public LiteModuleLoader() {}

  /**
   * Loads a model from a file.
   *
   * @param modelPath path of the file
   * @param extraFiles names of additional files in the model; their contents are put in as values,
   *     an empty text for those that the model does not have. May be null
   * @param device where to run the model
   * @return the model
   * @throws RuntimeException if the file cannot be read, or needs operators the library lacks
   */
  @NotNull
  public static Module load(
      @NotNull final String modelPath,
      @Nullable final Map<String, String> extraFiles,
      @NotNull final Device device) {
    return Module.load(modelPath, extraFiles, device);
  }

  /**
   * Loads a model from a file, to run on the CPU.
   *
   * @param modelPath path of the file
   * @return the model
   * @throws RuntimeException if the file cannot be read, or needs operators the library lacks
   */
  @NotNull
  public static Module load(@NotNull final String modelPath) {
    return load(modelPath, null, Device.CPU);
  }

  /**
   * Loads a model from the app's assets. An asset that is stored without compression is not copied.
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
    return Module.load(assetManager, assetName, null, device);
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
    return loadModuleFromAsset(assetManager, assetName, Device.CPU);
  }
}
