package org.pytorch;

/** In which order the elements of a {@link Tensor} lie in memory; its shape is the same in each. */
public enum MemoryFormat {
  /** The last dimension varies fastest: NCHW for pictures. */
  CONTIGUOUS(1),
  /** Channels vary fastest: NHWC. For tensors of three or four dimensions. */
  CHANNELS_LAST(2),
  /** Channels vary fastest: NDHWC. For tensors of four or five dimensions. */
  CHANNELS_LAST_3D(3);

  /** What the native side knows it by (cmake/runtime/jni/tensors.cpp). */
  final int jniCode;

  MemoryFormat(int jniCode) {
    this.jniCode = jniCode;
  }

  static MemoryFormat of(int jniCode) {
    for (MemoryFormat format : values()) {
      if (format.jniCode == jniCode) {
        return format;
      }
    }
    throw new IllegalArgumentException("no memory format has the code " + jniCode);
  }
}
