package org.pytorch;

/** A loaded model behind a {@link Module}. */
interface INativePeer {
  void resetNative();

  IValue forward(IValue... inputs);

  IValue runMethod(String methodName, IValue... inputs);
}
