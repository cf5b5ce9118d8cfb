package org.pytorch;

import android.content.res.AssetManager;
import java.io.FileDescriptor;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.util.Map;
import org.jetbrains.annotations.NotNull;
import org.jetbrains.annotations.Nullable;

/**
 * A loaded model.
 *
 * <p>May be used by several threads; calls of one module run one after the other. Its native memory
 * is freed when the module is garbage-collected, or by {@link #destroy} or {@link #close}.
 */
public class Module implements AutoCloseable {
  private final INativePeer peer;

  Module(INativePeer peer) {
    this.peer = peer;
  }

  /**
   * Loads a model from a file. It has to be saved for the lite interpreter, as for {@link
   * LiteModuleLoader#load(String, Map, Device)}, which this is another name for.
   *
   * @param modelPath path of the file
   * @param extraFiles names of additional files in the model; their contents are put in as values.
   *     May be null
   * @param device where to run the model
   * @return the model
   * @throws RuntimeException if the file cannot be read, or needs operators the library lacks
   */
  @NotNull
  public static Module load(
      @NotNull final String modelPath,
      @Nullable final Map<String, String> extraFiles,
      @NotNull final Device device) {
    return new Module(LiteNativePeer.ofFile(modelPath, extraFiles, device));
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
   * Loads a model from the bytes between a buffer's position and its limit. Those of a direct buffer are read where they
   * are; nothing may write to them meanwhile. The buffer is not needed after the call.
   *
   * @param model the bytes, as a file has them
   * @param extraFiles names of additional files in the model; their contents are put in as values.
   *     May be null
   * @param device where to run the model
   * @return the model
   * @throws IllegalArgumentException if an argument is null
   * @throws RuntimeException if it is no model, is damaged, or needs operators the library lacks
   */
  @NotNull
  public static Module load(
      @NotNull ByteBuffer model, @Nullable Map<String, String> extraFiles, @NotNull Device device) {
    return new Module(LiteNativePeer.ofBuffer(model, extraFiles, device));
  }

  /**
   * Loads a model from the bytes between a buffer's position and its limit. Those of a direct buffer are read where they
   * are; nothing may write to them meanwhile. The buffer is not needed after the call. The model runs on the CPU.
   *
   * @param model the bytes, as a file has them
   * @return the model
   * @throws IllegalArgumentException if an argument is null
   * @throws RuntimeException if it is no model, is damaged, or needs operators the library lacks
   */
  @NotNull
  public static Module load(@NotNull ByteBuffer model) {
    return load(model, null, Device.CPU);
  }

  /**
   * Loads a model from an array of bytes.
   *
   * @param model the bytes, as a file has them
   * @param extraFiles names of additional files in the model; their contents are put in as values.
   *     May be null
   * @param device where to run the model
   * @return the model
   * @throws IllegalArgumentException if an argument is null
   * @throws RuntimeException if it is no model, is damaged, or needs operators the library lacks
   */
  @NotNull
  public static Module load(
      @NotNull byte[] model, @Nullable Map<String, String> extraFiles, @NotNull Device device) {
    return new Module(LiteNativePeer.ofBytes(model, extraFiles, device));
  }

  /**
   * Loads a model from an array of bytes, to run on the CPU.
   *
   * @param model the bytes, as a file has them
   * @return the model
   * @throws IllegalArgumentException if an argument is null
   * @throws RuntimeException if it is no model, is damaged, or needs operators the library lacks
   */
  @NotNull
  public static Module load(@NotNull byte[] model) {
    return load(model, null, Device.CPU);
  }

  /**
   * Loads a model from a stream, which is read up to its end and not closed.
   *
   * @param model the stream, of at most 2 GiB
   * @param extraFiles names of additional files in the model; their contents are put in as values.
   *     May be null
   * @param device where to run the model
   * @return the model
   * @throws IllegalArgumentException if an argument is null, or the stream cannot be read
   * @throws RuntimeException if it is no model, is damaged, or needs operators the library lacks
   */
  @NotNull
  public static Module load(
      @NotNull InputStream model, @Nullable Map<String, String> extraFiles, @NotNull Device device) {
    return new Module(LiteNativePeer.ofStream(model, extraFiles, device));
  }

  /**
   * Loads a model from a stream, which is read up to its end and not closed, to run on the CPU.
   *
   * @param model the stream, of at most 2 GiB
   * @return the model
   * @throws IllegalArgumentException if an argument is null, or the stream cannot be read
   * @throws RuntimeException if it is no model, is damaged, or needs operators the library lacks
   */
  @NotNull
  public static Module load(@NotNull InputStream model) {
    return load(model, null, Device.CPU);
  }

  /**
   * Loads a model from a part of a file, which is neither closed nor moved to another position. Of Android's
   * {@code ParcelFileDescriptor} and {@code AssetFileDescriptor}, take {@code getFileDescriptor()}, and of the latter also
   * {@code getStartOffset()} and {@code getDeclaredLength()}. A pipe can be read from its begin.
   *
   * @param file the file, open for reading
   * @param offset where the model begins, in bytes
   * @param length of the model in bytes; {@code Long.MAX_VALUE} for all up to the end of the file
   * @param extraFiles names of additional files in the model; their contents are put in as values.
   *     May be null
   * @param device where to run the model
   * @return the model
   * @throws IllegalArgumentException if an argument is null, a number negative, or the file cannot be read
   * @throws RuntimeException if it is no model, is damaged, or needs operators the library lacks
   */
  @NotNull
  public static Module load(
      @NotNull FileDescriptor file,
      long offset,
      long length,
      @Nullable Map<String, String> extraFiles,
      @NotNull Device device) {
    return new Module(LiteNativePeer.ofDescriptor(file, offset, length, extraFiles, device));
  }

  /**
   * Loads a model from a part of a file, which is neither closed nor moved to another position. Of Android's
   * {@code ParcelFileDescriptor} and {@code AssetFileDescriptor}, take {@code getFileDescriptor()}, and of the latter also
   * {@code getStartOffset()} and {@code getDeclaredLength()}. A pipe can be read from its begin. The model runs on the CPU.
   *
   * @param file the file, open for reading
   * @param offset where the model begins, in bytes
   * @param length of the model in bytes; {@code Long.MAX_VALUE} for all up to the end of the file
   * @return the model
   * @throws IllegalArgumentException if an argument is null, a number negative, or the file cannot be read
   * @throws RuntimeException if it is no model, is damaged, or needs operators the library lacks
   */
  @NotNull
  public static Module load(@NotNull FileDescriptor file, long offset, long length) {
    return load(file, offset, length, null, Device.CPU);
  }

  /**
   * Loads a model from a file that is open, from its begin to its end, to run on the CPU. The file is neither closed nor
   * moved to another position.
   *
   * @param file the file, open for reading
   * @return the model
   * @throws IllegalArgumentException if an argument is null, or the file cannot be read
   * @throws RuntimeException if it is no model, is damaged, or needs operators the library lacks
   */
  @NotNull
  public static Module load(@NotNull FileDescriptor file) {
    return load(file, 0, LiteNativePeer.TO_THE_END, null, Device.CPU);
  }

  /**
   * Loads a model from the app's assets. An asset that is stored without compression is not copied.
   *
   * @param assetManager of the app's context
   * @param assetName path of the model below {@code assets/}
   * @param extraFiles names of additional files in the model; their contents are put in as values.
   *     May be null
   * @param device where to run the model
   * @return the model
   * @throws IllegalArgumentException if there is no such asset
   * @throws RuntimeException if it is no model, is damaged, or needs operators the library lacks
   */
  @NotNull
  public static Module load(
      @NotNull AssetManager assetManager,
      @NotNull String assetName,
      @Nullable Map<String, String> extraFiles,
      @NotNull Device device) {
    return new Module(LiteNativePeer.ofAsset(assetManager, assetName, extraFiles, device));
  }

  /**
   * Runs the model's {@code forward}.
   *
   * @param inputs its arguments
   * @return what it returns
   * @throws IllegalArgumentException if a value cannot be carried to or from the model
   * @throws IllegalStateException after {@link #destroy}, or if an input was closed
   * @throws java.util.concurrent.CancellationException after {@link #cancel} by another thread
   * @throws RuntimeException if the model fails; the message is the native one
   */
  @NotNull
  public IValue forward(@NotNull IValue... inputs) {
    return peer.forward(inputs);
  }

  /**
   * Runs one of the model's methods.
   *
   * @param methodName its name
   * @param inputs its arguments
   * @return what it returns
   * @throws IllegalArgumentException if there is no such method, or a value cannot be carried to or
   *     from the model
   * @throws IllegalStateException after {@link #destroy}, or if an input was closed
   * @throws java.util.concurrent.CancellationException after {@link #cancel} by another thread
   * @throws RuntimeException if the method fails; the message is the native one
   */
  @NotNull
  public IValue runMethod(@NotNull String methodName, @NotNull IValue... inputs) {
    return peer.runMethod(methodName, inputs);
  }

  /**
   * Frees the model's native memory now rather than when it is garbage-collected. Waits for a call
   * that is under way. Results stay valid. A second time it does nothing.
   */
  public void destroy() {
    peer.resetNative();
  }

  /** Does the same as {@link #destroy}, for try-with-resources and Kotlin's {@code use}. */
  @Override
  public void close() {
    destroy();
  }

  /**
   * Ends the call that another thread runs, when its current operator ends. That call throws a {@link
   * java.util.concurrent.CancellationException}. The module can be used as before. Without such a call it has no effect,
   * and calls that begin later are not ended.
   */
  public void cancel() {
    peer.cancel();
  }

  /**
   * Returns the methods of the model: by name, how they are called, as {@code forward(Tensor x) -> Tensor}. Files have no
   * dtypes and shapes of tensors.
   *
   * @return an unmodifiable map, sorted by name
   * @throws IllegalStateException after {@link #destroy}
   */
  @NotNull
  public Map<String, String> signatures() {
    return peer.signatures();
  }

  /**
   * Returns the bytes of an additional file of the model, for instance of a picture or of packed numbers. The map that a
   * model was loaded with has the same as text, decoded as UTF-8.
   *
   * @param name one of the names in that map
   * @return a copy of the bytes, none if the model has no such file; null if the map had no such name
   */
  @Nullable
  public byte[] extraFile(@NotNull String name) {
    return peer.extraFile(name);
  }

  /**
   * Returns the methods of the model, for logs and debuggers.
   *
   * @return a text for people
   */
  @Override
  @NotNull
  public String toString() {
    try {
      StringBuilder text = new StringBuilder();
      for (String signature : signatures().values()) { // String.join came with Android 8
        text.append(text.length() == 0 ? "Module(" : "; ").append(signature);
      }
      return text.append(')').toString();
    } catch (IllegalStateException destroyed) {
      return "Module(destroyed)";
    }
  }
}
