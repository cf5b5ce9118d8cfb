package org.pytorch;

import java.util.Map;

/**
 * A loaded model.
 *
 * <p>May be used by several threads; calls of one module run one after the other. Its native memory
 * is freed when the module is garbage-collected, or by {@link #destroy}.
 */
public class Module {
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
  public static Module load(
      final String modelPath, final Map<String, String> extraFiles, final Device device) {
    return new Module(new LiteNativePeer(modelPath, extraFiles, device));
  }

  /**
   * Loads a model from a file, to run on the CPU.
   *
   * @param modelPath path of the file
   * @return the model
   * @throws RuntimeException if the file cannot be read, or needs operators the library lacks
   */
  public static Module load(final String modelPath) {
    return load(modelPath, null, Device.CPU);
  }

  /**
   * Runs the model's {@code forward}.
   *
   * @param inputs its arguments
   * @return what it returns
   * @throws IllegalArgumentException if a value cannot be carried to or from the model
   * @throws IllegalStateException after {@link #destroy}
   * @throws RuntimeException if the model fails; the message is the native one
   */
  public IValue forward(IValue... inputs) {
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
   * @throws IllegalStateException after {@link #destroy}
   * @throws RuntimeException if the method fails; the message is the native one
   */
  public IValue runMethod(String methodName, IValue... inputs) {
    return peer.runMethod(methodName, inputs);
  }

  /**
   * Frees the model's native memory now rather than when it is garbage-collected. Waits for a call
   * that is under way. Results stay valid. A second time it does nothing.
   */
  public void destroy() {
    peer.resetNative();
  }
}
