package org.pytorch;

import java.util.Map;

/** A loaded model behind a {@link Module}. */
interface INativePeer {
  void resetNative();

  IValue forward(IValue... inputs);

  IValue runMethod(String methodName, IValue... inputs);

  void cancel();

  Map<String, String> signatures();

  byte[] extraFile(String name);
}
