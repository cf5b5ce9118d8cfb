package org.pytorch;

import java.util.Map;

/**
 * A model of the lite interpreter.
 *
 * <p>Calls wait for each other: prepacked operators keep state in the model while they run.
 */
final class LiteNativePeer implements INativePeer {
  private final NativeHandle handle;

  LiteNativePeer(String path, Map<String, String> extraFiles, Device device) {
    NativeLibrary.load();
    String[] names = extraFiles == null ? new String[0] : extraFiles.keySet().toArray(new String[0]);
    String[] contents = new String[names.length];
    handle = NativeHandle.ofModule(this, load(path, names, contents, device.jniCode));
    for (int i = 0; i < names.length; i++) {
      extraFiles.put(names[i], contents[i]);
    }
  }

  LiteNativePeer(Object assetManager, String assetName, Device device) {
    NativeLibrary.load();
    handle = NativeHandle.ofModule(this, loadAsset(assetManager, assetName, device.jniCode));
  }

  @Override
  public synchronized void resetNative() {
    handle.close();
  }

  @Override
  public IValue forward(IValue... inputs) {
    return runMethod("forward", inputs);
  }

  @Override
  public synchronized IValue runMethod(String methodName, IValue... inputs) {
    return run(handle.address(), methodName, inputs);
  }

  private static native long load(String path, String[] names, String[] contents, int device);

  private static native long loadAsset(Object assetManager, String assetName, int device);

  private static native IValue run(long module, String method, IValue[] inputs);
}
