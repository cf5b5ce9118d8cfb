package org.pytorch;

/** What the elements of a {@link Tensor} are. */
public enum DType {
  /** Unsigned bytes, {@code torch.uint8}. */
  UINT8(1),
  /** Signed bytes, {@code torch.int8}. */
  INT8(2),
  /** Integers of 32 bits, {@code torch.int32}. */
  INT32(3),
  /** Floating-point numbers of 32 bits, {@code torch.float32}. */
  FLOAT32(4),
  /** Integers of 64 bits, {@code torch.int64}. */
  INT64(5),
  /** Floating-point numbers of 64 bits, {@code torch.float64}. */
  FLOAT64(6),
  /** Truth values, {@code torch.bool}. */
  BOOL(7),
  /** Floating-point numbers of 16 bits, {@code torch.float16}. */
  FLOAT16(8);

  /** What the native side knows it by (cmake/runtime/jni/tensors.cpp). */
  final int jniCode;

  DType(int jniCode) {
    this.jniCode = jniCode;
  }

  static DType of(int jniCode) {
    for (DType dtype : values()) {
      if (dtype.jniCode == jniCode) {
        return dtype;
      }
    }
    throw new IllegalArgumentException("no dtype has the code " + jniCode);
  }
}
