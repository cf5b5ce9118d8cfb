package org.pytorch;

import java.nio.Buffer;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.DoubleBuffer;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import java.nio.LongBuffer;
import java.nio.ShortBuffer;
import java.util.Arrays;
import java.util.Locale;
import org.jetbrains.annotations.NotNull;

/**
 * Numbers of one type in a grid of any number of dimensions.
 *
 * <p>Made from an array, whose elements are copied, or from a direct buffer in the CPU's byte
 * order, which is not copied: the model reads it, and its elements can be changed between calls. A
 * model may write to it too, where it changes its inputs in place; of a read-only buffer, each call
 * gets a copy.
 * Results of models are the app's own, which no later call changes; reading them makes arrays.
 */
public abstract class Tensor implements AutoCloseable {
  final long[] shape;
  final MemoryFormat memoryFormat;

  /** Frees the native tensor that owns the buffer; null for buffers of the app. */
  private NativeHandle handle;

  private Tensor(long[] shape, MemoryFormat memoryFormat) {
    check(memoryFormat != null, "the memory format is null");
    this.shape = shape.clone();
    this.memoryFormat = memoryFormat;
  }

  /**
   * Makes a direct buffer for a tensor of bytes.
   *
   * @param numElements how many
   * @return a buffer in the CPU's byte order
   */
  @NotNull
  public static ByteBuffer allocateByteBuffer(int numElements) {
    return ByteBuffer.allocateDirect(numElements).order(ByteOrder.nativeOrder());
  }

  /**
   * Makes a direct buffer for a tensor of ints.
   *
   * @param numElements how many
   * @return a buffer in the CPU's byte order
   */
  @NotNull
  public static IntBuffer allocateIntBuffer(int numElements) {
    return allocate(numElements, 4).asIntBuffer();
  }

  /**
   * Makes a direct buffer for a tensor of floats.
   *
   * @param numElements how many
   * @return a buffer in the CPU's byte order
   */
  @NotNull
  public static FloatBuffer allocateFloatBuffer(int numElements) {
    return allocate(numElements, 4).asFloatBuffer();
  }

  /**
   * Makes a direct buffer for a tensor of longs.
   *
   * @param numElements how many
   * @return a buffer in the CPU's byte order
   */
  @NotNull
  public static LongBuffer allocateLongBuffer(int numElements) {
    return allocate(numElements, 8).asLongBuffer();
  }

  /**
   * Makes a direct buffer for a tensor of floating-point numbers of 16 bits.
   *
   * @param numElements how many
   * @return a buffer in the CPU's byte order
   */
  @NotNull
  public static ShortBuffer allocateHalfBuffer(int numElements) {
    return allocate(numElements, 2).asShortBuffer();
  }

  /**
   * Makes a direct buffer for a tensor of doubles.
   *
   * @param numElements how many
   * @return a buffer in the CPU's byte order
   */
  @NotNull
  public static DoubleBuffer allocateDoubleBuffer(int numElements) {
    return allocate(numElements, 8).asDoubleBuffer();
  }

  private static ByteBuffer allocate(int numElements, int size) {
    long bytes = (long) numElements * size;
    if (bytes != (int) bytes) { // Math.multiplyExact came with Android 7
      throw new ArithmeticException(numElements + " elements are too many for a buffer");
    }
    return allocateByteBuffer((int) bytes);
  }

  /**
   * Makes a tensor of unsigned bytes from an array.
   *
   * @param data the elements; copied
   * @param shape its sizes
   * @param memoryFormat in which order the elements are
   * @return the tensor
   * @throws IllegalArgumentException if an argument is null, a size is negative, or their product is not the number of elements
   */
  @NotNull
  public static Tensor fromBlobUnsigned(
      @NotNull byte[] data, @NotNull long[] shape, @NotNull MemoryFormat memoryFormat) {
    check(data != null, "the data is null");
    checkSize(data.length, shape);
    ByteBuffer buffer = allocateByteBuffer(data.length);
    buffer.put(data);
    return new Tensor_uint8(buffer, shape, memoryFormat);
  }

  /**
   * Makes a contiguous tensor of unsigned bytes from an array.
   *
   * @param data the elements; copied
   * @param shape its sizes
   * @return the tensor
   * @throws IllegalArgumentException if an argument is null, a size is negative, or their product is not the number of elements
   */
  @NotNull
  public static Tensor fromBlobUnsigned(@NotNull byte[] data, @NotNull long[] shape) {
    return fromBlobUnsigned(data, shape, MemoryFormat.CONTIGUOUS);
  }

  /**
   * Makes a tensor of signed bytes from an array.
   *
   * @param data the elements; copied
   * @param shape its sizes
   * @param memoryFormat in which order the elements are
   * @return the tensor
   * @throws IllegalArgumentException if an argument is null, a size is negative, or their product is not the number of elements
   */
  @NotNull
  public static Tensor fromBlob(
      @NotNull byte[] data, @NotNull long[] shape, @NotNull MemoryFormat memoryFormat) {
    check(data != null, "the data is null");
    checkSize(data.length, shape);
    ByteBuffer buffer = allocateByteBuffer(data.length);
    buffer.put(data);
    return new Tensor_int8(buffer, shape, memoryFormat);
  }

  /**
   * Makes a contiguous tensor of signed bytes from an array.
   *
   * @param data the elements; copied
   * @param shape its sizes
   * @return the tensor
   * @throws IllegalArgumentException if an argument is null, a size is negative, or their product is not the number of elements
   */
  @NotNull
  public static Tensor fromBlob(@NotNull byte[] data, @NotNull long[] shape) {
    return fromBlob(data, shape, MemoryFormat.CONTIGUOUS);
  }

  /**
   * Makes a tensor of integers of 32 bits from an array.
   *
   * @param data the elements; copied
   * @param shape its sizes
   * @param memoryFormat in which order the elements are
   * @return the tensor
   * @throws IllegalArgumentException if an argument is null, a size is negative, or their product is not the number of elements
   */
  @NotNull
  public static Tensor fromBlob(
      @NotNull int[] data, @NotNull long[] shape, @NotNull MemoryFormat memoryFormat) {
    check(data != null, "the data is null");
    checkSize(data.length, shape);
    IntBuffer buffer = allocateIntBuffer(data.length);
    buffer.put(data);
    return new Tensor_int32(buffer, shape, memoryFormat);
  }

  /**
   * Makes a contiguous tensor of integers of 32 bits from an array.
   *
   * @param data the elements; copied
   * @param shape its sizes
   * @return the tensor
   * @throws IllegalArgumentException if an argument is null, a size is negative, or their product is not the number of elements
   */
  @NotNull
  public static Tensor fromBlob(@NotNull int[] data, @NotNull long[] shape) {
    return fromBlob(data, shape, MemoryFormat.CONTIGUOUS);
  }

  /**
   * Makes a tensor of floating-point numbers of 32 bits from an array.
   *
   * @param data the elements; copied
   * @param shape its sizes
   * @param memoryFormat in which order the elements are
   * @return the tensor
   * @throws IllegalArgumentException if an argument is null, a size is negative, or their product is not the number of elements
   */
  @NotNull
  public static Tensor fromBlob(
      @NotNull float[] data, @NotNull long[] shape, @NotNull MemoryFormat memoryFormat) {
    check(data != null, "the data is null");
    checkSize(data.length, shape);
    FloatBuffer buffer = allocateFloatBuffer(data.length);
    buffer.put(data);
    return new Tensor_float32(buffer, shape, memoryFormat);
  }

  /**
   * Makes a contiguous tensor of floating-point numbers of 32 bits from an array.
   *
   * @param data the elements; copied
   * @param shape its sizes
   * @return the tensor
   * @throws IllegalArgumentException if an argument is null, a size is negative, or their product is not the number of elements
   */
  @NotNull
  public static Tensor fromBlob(@NotNull float[] data, @NotNull long[] shape) {
    return fromBlob(data, shape, MemoryFormat.CONTIGUOUS);
  }

  /**
   * Makes a tensor of integers of 64 bits from an array.
   *
   * @param data the elements; copied
   * @param shape its sizes
   * @param memoryFormat in which order the elements are
   * @return the tensor
   * @throws IllegalArgumentException if an argument is null, a size is negative, or their product is not the number of elements
   */
  @NotNull
  public static Tensor fromBlob(
      @NotNull long[] data, @NotNull long[] shape, @NotNull MemoryFormat memoryFormat) {
    check(data != null, "the data is null");
    checkSize(data.length, shape);
    LongBuffer buffer = allocateLongBuffer(data.length);
    buffer.put(data);
    return new Tensor_int64(buffer, shape, memoryFormat);
  }

  /**
   * Makes a contiguous tensor of integers of 64 bits from an array.
   *
   * @param data the elements; copied
   * @param shape its sizes
   * @return the tensor
   * @throws IllegalArgumentException if an argument is null, a size is negative, or their product is not the number of elements
   */
  @NotNull
  public static Tensor fromBlob(@NotNull long[] data, @NotNull long[] shape) {
    return fromBlob(data, shape, MemoryFormat.CONTIGUOUS);
  }

  /**
   * Makes a tensor of floating-point numbers of 64 bits from an array.
   *
   * @param data the elements; copied
   * @param shape its sizes
   * @param memoryFormat in which order the elements are
   * @return the tensor
   * @throws IllegalArgumentException if an argument is null, a size is negative, or their product is not the number of elements
   */
  @NotNull
  public static Tensor fromBlob(
      @NotNull double[] data, @NotNull long[] shape, @NotNull MemoryFormat memoryFormat) {
    check(data != null, "the data is null");
    checkSize(data.length, shape);
    DoubleBuffer buffer = allocateDoubleBuffer(data.length);
    buffer.put(data);
    return new Tensor_float64(buffer, shape, memoryFormat);
  }

  /**
   * Makes a contiguous tensor of floating-point numbers of 64 bits from an array.
   *
   * @param data the elements; copied
   * @param shape its sizes
   * @return the tensor
   * @throws IllegalArgumentException if an argument is null, a size is negative, or their product is not the number of elements
   */
  @NotNull
  public static Tensor fromBlob(@NotNull double[] data, @NotNull long[] shape) {
    return fromBlob(data, shape, MemoryFormat.CONTIGUOUS);
  }

  /**
   * Makes a tensor of unsigned bytes from a direct buffer.
   *
   * @param data the elements; used as they are, not copied
   * @param shape its sizes
   * @param memoryFormat in which order the elements are
   * @return the tensor
   * @throws IllegalArgumentException if an argument is null, a size is negative, their product is not the
   *     buffer's capacity, or the buffer is not direct or of another byte order
   */
  @NotNull
  public static Tensor fromBlobUnsigned(
      @NotNull ByteBuffer data, @NotNull long[] shape, @NotNull MemoryFormat memoryFormat) {
    checkBuffer(data, data == null ? null : data.order(), shape);
    return new Tensor_uint8(data, shape, memoryFormat);
  }

  /**
   * Makes a contiguous tensor of unsigned bytes from a direct buffer.
   *
   * @param data the elements; used as they are, not copied
   * @param shape its sizes
   * @return the tensor
   * @throws IllegalArgumentException if an argument is null, a size is negative, their product is not the
   *     buffer's capacity, or the buffer is not direct or of another byte order
   */
  @NotNull
  public static Tensor fromBlobUnsigned(@NotNull ByteBuffer data, @NotNull long[] shape) {
    return fromBlobUnsigned(data, shape, MemoryFormat.CONTIGUOUS);
  }

  /**
   * Makes a tensor of signed bytes from a direct buffer.
   *
   * @param data the elements; used as they are, not copied
   * @param shape its sizes
   * @param memoryFormat in which order the elements are
   * @return the tensor
   * @throws IllegalArgumentException if an argument is null, a size is negative, their product is not the
   *     buffer's capacity, or the buffer is not direct or of another byte order
   */
  @NotNull
  public static Tensor fromBlob(
      @NotNull ByteBuffer data, @NotNull long[] shape, @NotNull MemoryFormat memoryFormat) {
    checkBuffer(data, data == null ? null : data.order(), shape);
    return new Tensor_int8(data, shape, memoryFormat);
  }

  /**
   * Makes a contiguous tensor of signed bytes from a direct buffer.
   *
   * @param data the elements; used as they are, not copied
   * @param shape its sizes
   * @return the tensor
   * @throws IllegalArgumentException if an argument is null, a size is negative, their product is not the
   *     buffer's capacity, or the buffer is not direct or of another byte order
   */
  @NotNull
  public static Tensor fromBlob(@NotNull ByteBuffer data, @NotNull long[] shape) {
    return fromBlob(data, shape, MemoryFormat.CONTIGUOUS);
  }

  /**
   * Makes a tensor of integers of 32 bits from a direct buffer.
   *
   * @param data the elements; used as they are, not copied
   * @param shape its sizes
   * @param memoryFormat in which order the elements are
   * @return the tensor
   * @throws IllegalArgumentException if an argument is null, a size is negative, their product is not the
   *     buffer's capacity, or the buffer is not direct or of another byte order
   */
  @NotNull
  public static Tensor fromBlob(
      @NotNull IntBuffer data, @NotNull long[] shape, @NotNull MemoryFormat memoryFormat) {
    checkBuffer(data, data == null ? null : data.order(), shape);
    return new Tensor_int32(data, shape, memoryFormat);
  }

  /**
   * Makes a contiguous tensor of integers of 32 bits from a direct buffer.
   *
   * @param data the elements; used as they are, not copied
   * @param shape its sizes
   * @return the tensor
   * @throws IllegalArgumentException if an argument is null, a size is negative, their product is not the
   *     buffer's capacity, or the buffer is not direct or of another byte order
   */
  @NotNull
  public static Tensor fromBlob(@NotNull IntBuffer data, @NotNull long[] shape) {
    return fromBlob(data, shape, MemoryFormat.CONTIGUOUS);
  }

  /**
   * Makes a tensor of floating-point numbers of 32 bits from a direct buffer.
   *
   * @param data the elements; used as they are, not copied
   * @param shape its sizes
   * @param memoryFormat in which order the elements are
   * @return the tensor
   * @throws IllegalArgumentException if an argument is null, a size is negative, their product is not the
   *     buffer's capacity, or the buffer is not direct or of another byte order
   */
  @NotNull
  public static Tensor fromBlob(
      @NotNull FloatBuffer data, @NotNull long[] shape, @NotNull MemoryFormat memoryFormat) {
    checkBuffer(data, data == null ? null : data.order(), shape);
    return new Tensor_float32(data, shape, memoryFormat);
  }

  /**
   * Makes a contiguous tensor of floating-point numbers of 32 bits from a direct buffer.
   *
   * @param data the elements; used as they are, not copied
   * @param shape its sizes
   * @return the tensor
   * @throws IllegalArgumentException if an argument is null, a size is negative, their product is not the
   *     buffer's capacity, or the buffer is not direct or of another byte order
   */
  @NotNull
  public static Tensor fromBlob(@NotNull FloatBuffer data, @NotNull long[] shape) {
    return fromBlob(data, shape, MemoryFormat.CONTIGUOUS);
  }

  /**
   * Makes a tensor of integers of 64 bits from a direct buffer.
   *
   * @param data the elements; used as they are, not copied
   * @param shape its sizes
   * @param memoryFormat in which order the elements are
   * @return the tensor
   * @throws IllegalArgumentException if an argument is null, a size is negative, their product is not the
   *     buffer's capacity, or the buffer is not direct or of another byte order
   */
  @NotNull
  public static Tensor fromBlob(
      @NotNull LongBuffer data, @NotNull long[] shape, @NotNull MemoryFormat memoryFormat) {
    checkBuffer(data, data == null ? null : data.order(), shape);
    return new Tensor_int64(data, shape, memoryFormat);
  }

  /**
   * Makes a contiguous tensor of integers of 64 bits from a direct buffer.
   *
   * @param data the elements; used as they are, not copied
   * @param shape its sizes
   * @return the tensor
   * @throws IllegalArgumentException if an argument is null, a size is negative, their product is not the
   *     buffer's capacity, or the buffer is not direct or of another byte order
   */
  @NotNull
  public static Tensor fromBlob(@NotNull LongBuffer data, @NotNull long[] shape) {
    return fromBlob(data, shape, MemoryFormat.CONTIGUOUS);
  }

  /**
   * Makes a tensor of floating-point numbers of 64 bits from a direct buffer.
   *
   * @param data the elements; used as they are, not copied
   * @param shape its sizes
   * @param memoryFormat in which order the elements are
   * @return the tensor
   * @throws IllegalArgumentException if an argument is null, a size is negative, their product is not the
   *     buffer's capacity, or the buffer is not direct or of another byte order
   */
  @NotNull
  public static Tensor fromBlob(
      @NotNull DoubleBuffer data, @NotNull long[] shape, @NotNull MemoryFormat memoryFormat) {
    checkBuffer(data, data == null ? null : data.order(), shape);
    return new Tensor_float64(data, shape, memoryFormat);
  }

  /**
   * Makes a contiguous tensor of floating-point numbers of 64 bits from a direct buffer.
   *
   * @param data the elements; used as they are, not copied
   * @param shape its sizes
   * @return the tensor
   * @throws IllegalArgumentException if an argument is null, a size is negative, their product is not the
   *     buffer's capacity, or the buffer is not direct or of another byte order
   */
  @NotNull
  public static Tensor fromBlob(@NotNull DoubleBuffer data, @NotNull long[] shape) {
    return fromBlob(data, shape, MemoryFormat.CONTIGUOUS);
  }

  /**
   * Makes a tensor of truth values from an array.
   *
   * @param data the elements; copied
   * @param shape its sizes
   * @param memoryFormat in which order the elements are
   * @return the tensor
   * @throws IllegalArgumentException if an argument is null, a size is negative, or their product is not the number of elements
   */
  @NotNull
  public static Tensor fromBlob(
      @NotNull boolean[] data, @NotNull long[] shape, @NotNull MemoryFormat memoryFormat) {
    check(data != null, "the data is null");
    checkSize(data.length, shape);
    ByteBuffer buffer = allocateByteBuffer(data.length);
    for (boolean element : data) {
      buffer.put((byte) (element ? 1 : 0));
    }
    return new Tensor_bool(buffer, shape, memoryFormat);
  }

  /**
   * Makes a contiguous tensor of truth values from an array.
   *
   * @param data the elements; copied
   * @param shape its sizes
   * @return the tensor
   * @throws IllegalArgumentException if an argument is null, a size is negative, or their product is not the number of elements
   */
  @NotNull
  public static Tensor fromBlob(@NotNull boolean[] data, @NotNull long[] shape) {
    return fromBlob(data, shape, MemoryFormat.CONTIGUOUS);
  }

  /**
   * Makes a tensor of floating-point numbers of 16 bits from an array of their bits.
   *
   * @param data the elements, as IEEE 754 encodes binary16; copied
   * @param shape its sizes
   * @param memoryFormat in which order the elements are
   * @return the tensor
   * @throws IllegalArgumentException if an argument is null, a size is negative, or their product is not the number of elements
   */
  @NotNull
  public static Tensor fromBlobHalf(
      @NotNull short[] data, @NotNull long[] shape, @NotNull MemoryFormat memoryFormat) {
    check(data != null, "the data is null");
    checkSize(data.length, shape);
    ShortBuffer buffer = allocateHalfBuffer(data.length);
    buffer.put(data);
    return new Tensor_float16(buffer, shape, memoryFormat);
  }

  /**
   * Makes a contiguous tensor of floating-point numbers of 16 bits from an array of their bits.
   *
   * @param data the elements, as IEEE 754 encodes binary16; copied
   * @param shape its sizes
   * @return the tensor
   * @throws IllegalArgumentException if an argument is null, a size is negative, or their product is not the number of elements
   */
  @NotNull
  public static Tensor fromBlobHalf(@NotNull short[] data, @NotNull long[] shape) {
    return fromBlobHalf(data, shape, MemoryFormat.CONTIGUOUS);
  }

  /**
   * Makes a tensor of floating-point numbers of 16 bits from a direct buffer of their bits.
   *
   * @param data the elements, as IEEE 754 encodes binary16; used as they are, not copied
   * @param shape its sizes
   * @param memoryFormat in which order the elements are
   * @return the tensor
   * @throws IllegalArgumentException if an argument is null, a size is negative, their product is not the
   *     buffer's capacity, or the buffer is not direct or of another byte order
   */
  @NotNull
  public static Tensor fromBlobHalf(
      @NotNull ShortBuffer data, @NotNull long[] shape, @NotNull MemoryFormat memoryFormat) {
    checkBuffer(data, data == null ? null : data.order(), shape);
    return new Tensor_float16(data, shape, memoryFormat);
  }

  /**
   * Makes a contiguous tensor of floating-point numbers of 16 bits from a direct buffer of their bits.
   *
   * @param data the elements, as IEEE 754 encodes binary16; used as they are, not copied
   * @param shape its sizes
   * @return the tensor
   * @throws IllegalArgumentException if an argument is null, a size is negative, their product is not the
   *     buffer's capacity, or the buffer is not direct or of another byte order
   */
  @NotNull
  public static Tensor fromBlobHalf(@NotNull ShortBuffer data, @NotNull long[] shape) {
    return fromBlobHalf(data, shape, MemoryFormat.CONTIGUOUS);
  }

  /**
   * Returns how many elements this tensor has.
   *
   * @return the number
   */
  public long numel() {
    return numel(shape);
  }

  /**
   * Returns how many elements a tensor of a shape has.
   *
   * @param shape its sizes
   * @return their product; one for no sizes
   * @throws IllegalArgumentException if the shape is null, a size negative or the product too large
   */
  public static long numel(@NotNull long[] shape) {
    check(shape != null, "the shape is null");
    long product = 1;
    for (long size : shape) {
      check(size >= 0, "a size is negative: %s", Arrays.toString(shape));
      check(
          size == 0 || product <= Long.MAX_VALUE / size, "too large: %s", Arrays.toString(shape));
      product *= size;
    }
    return product;
  }

  /**
   * Returns the sizes of this tensor.
   *
   * @return a copy of them
   */
  @NotNull
  public long[] shape() {
    return shape.clone();
  }

  /**
   * Returns in which order the elements are.
   *
   * @return the order
   */
  @NotNull
  public MemoryFormat memoryFormat() {
    return memoryFormat;
  }

  /**
   * Returns what the elements are.
   *
   * @return their type
   */
  @NotNull
  public abstract DType dtype();

  /**
   * Returns the elements of a tensor of signed bytes, in the order that {@link #memoryFormat} says.
   *
   * @return a copy of them
   * @throws IllegalStateException if the elements are of another type
   */
  @NotNull
  public byte[] getDataAsByteArray() {
    throw refuse("signed bytes");
  }

  /**
   * Returns the elements of a tensor of unsigned bytes, in the order that {@link #memoryFormat} says.
   *
   * @return a copy of them
   * @throws IllegalStateException if the elements are of another type
   */
  @NotNull
  public byte[] getDataAsUnsignedByteArray() {
    throw refuse("unsigned bytes");
  }

  /**
   * Returns the elements of a tensor of integers of 32 bits, in the order that {@link #memoryFormat} says.
   *
   * @return a copy of them
   * @throws IllegalStateException if the elements are of another type
   */
  @NotNull
  public int[] getDataAsIntArray() {
    throw refuse("integers of 32 bits");
  }

  /**
   * Returns the elements of a tensor of floating-point numbers of 32 bits, in the order that {@link #memoryFormat} says.
   *
   * @return a copy of them
   * @throws IllegalStateException if the elements are of another type
   */
  @NotNull
  public float[] getDataAsFloatArray() {
    throw refuse("floating-point numbers of 32 bits");
  }

  /**
   * Returns the elements of a tensor of integers of 64 bits, in the order that {@link #memoryFormat} says.
   *
   * @return a copy of them
   * @throws IllegalStateException if the elements are of another type
   */
  @NotNull
  public long[] getDataAsLongArray() {
    throw refuse("integers of 64 bits");
  }

  /**
   * Returns the elements of a tensor of floating-point numbers of 64 bits, in the order that {@link #memoryFormat} says.
   *
   * @return a copy of them
   * @throws IllegalStateException if the elements are of another type
   */
  @NotNull
  public double[] getDataAsDoubleArray() {
    throw refuse("floating-point numbers of 64 bits");
  }

  /**
   * Returns the elements of a tensor of truth values, in the order that {@link #memoryFormat} says.
   *
   * @return a copy of them
   * @throws IllegalStateException if the elements are of another type
   */
  @NotNull
  public boolean[] getDataAsBooleanArray() {
    throw refuse("truth values");
  }

  /**
   * Returns the elements of a tensor of floating-point numbers of 16 bits, in the order that {@link #memoryFormat} says.
   *
   * @return a copy of their bits, as IEEE 754 encodes binary16. Android's {@code android.util.Half.toFloat} reads them
   * @throws IllegalStateException if the elements are of another type
   */
  @NotNull
  public short[] getDataAsHalfArray() {
    throw refuse("floating-point numbers of 16 bits");
  }

  /**
   * Writes the elements to a buffer of the caller, from its position on, which moves behind them; in the order that
   * {@link #memoryFormat} says. So no memory is needed for them, call after call.
   *
   * @param out a buffer for elements of this type: a ShortBuffer for numbers of 16 bits, a ByteBuffer for bytes and truth
   *     values (0 and 1). It need not be direct
   * @throws IllegalArgumentException if it is null, for another type, read-only, or has less room
   * @throws IllegalStateException after {@link #close}
   */
  public synchronized void copyTo(@NotNull Buffer out) {
    Buffer from = duplicated();
    check(out != null, "the buffer to write to is null");
    check(!out.isReadOnly(), "the buffer to write to is read-only");
    check(
        out.remaining() >= from.remaining(),
        "the buffer to write to has room for %d elements, the tensor has %d",
        out.remaining(),
        from.remaining());
    if (!put(out, from)) {
      throw new IllegalArgumentException(
          "the elements of " + this + " do not fit a " + out.getClass().getSimpleName());
    }
  }

  /** Says whether both are buffers of one kind, of which `out` then has the elements of `from`. */
  private static boolean put(Buffer out, Buffer from) {
    if (from instanceof FloatBuffer && out instanceof FloatBuffer) {
      ((FloatBuffer) out).put((FloatBuffer) from);
    } else if (from instanceof ByteBuffer && out instanceof ByteBuffer) {
      ((ByteBuffer) out).put((ByteBuffer) from);
    } else if (from instanceof IntBuffer && out instanceof IntBuffer) {
      ((IntBuffer) out).put((IntBuffer) from);
    } else if (from instanceof LongBuffer && out instanceof LongBuffer) {
      ((LongBuffer) out).put((LongBuffer) from);
    } else if (from instanceof DoubleBuffer && out instanceof DoubleBuffer) {
      ((DoubleBuffer) out).put((DoubleBuffer) from);
    } else if (from instanceof ShortBuffer && out instanceof ShortBuffer) {
      ((ShortBuffer) out).put((ShortBuffer) from);
    } else {
      return false;
    }
    return true;
  }

  /**
   * Frees the memory of a model's result now rather than when it is garbage-collected. Its elements cannot be read
   * afterwards. Models that it was given to keep what they need of it. A tensor over a buffer of the app's stays as it is.
   */
  @Override
  public synchronized void close() {
    if (handle != null) {
      handle.close();
    }
  }

  @Override
  @NotNull
  public String toString() {
    String type = dtype().name().toLowerCase(Locale.ROOT);
    return String.format(Locale.ROOT, "Tensor(%s, dtype=torch.%s)", Arrays.toString(shape), type);
  }

  abstract Buffer buffer();

  // Called by the native side, as is `ofNative`.
  Buffer getRawDataBuffer() {
    Buffer data = buffer();
    if (!data.isReadOnly()) {
      return data;
    }
    // Memory that is mapped read-only cannot be written to, and models may change their inputs.
    Buffer copy = allocateLike(data);
    put(copy, duplicated());
    return copy;
  }

  private static Buffer allocateLike(Buffer data) {
    int count = data.capacity();
    if (data instanceof ByteBuffer) {
      return allocateByteBuffer(count);
    } else if (data instanceof ShortBuffer) {
      return allocateHalfBuffer(count);
    } else if (data instanceof IntBuffer) {
      return allocateIntBuffer(count);
    } else if (data instanceof FloatBuffer) {
      return allocateFloatBuffer(count);
    } else if (data instanceof LongBuffer) {
      return allocateLongBuffer(count);
    }
    return allocateDoubleBuffer(count);
  }

  int dtypeJniCode() {
    return dtype().jniCode;
  }

  int memoryFormatJniCode() {
    return memoryFormat.jniCode;
  }

  /** Returns the address of a native tensor that shares this one's memory; zero where that is the app's. */
  private synchronized long shareNative() {
    return handle == null ? 0 : handle.share();
  }

  /** Returns all elements; the position of the tensor's own buffer may be the app's. */
  Buffer duplicated() {
    if (handle != null) {
      handle.address(); // throws where it is freed
    }
    Buffer data = buffer();
    Buffer copy;
    if (data instanceof ByteBuffer) {
      copy = ((ByteBuffer) data).duplicate();
    } else if (data instanceof ShortBuffer) {
      copy = ((ShortBuffer) data).duplicate();
    } else if (data instanceof IntBuffer) {
      copy = ((IntBuffer) data).duplicate();
    } else if (data instanceof FloatBuffer) {
      copy = ((FloatBuffer) data).duplicate();
    } else if (data instanceof LongBuffer) {
      copy = ((LongBuffer) data).duplicate();
    } else {
      copy = ((DoubleBuffer) data).duplicate();
    }
    copy.clear(); // from the first element to the capacity
    return copy;
  }

  private static Tensor ofNative(
      ByteBuffer data, long[] shape, int dtypeCode, int memoryFormatCode, long pointer) {
    Tensor tensor = make(DType.of(dtypeCode), data, shape, MemoryFormat.of(memoryFormatCode));
    tensor.handle = NativeHandle.ofTensor(tensor, pointer, data.capacity());
    return tensor;
  }

  private static Tensor make(DType dtype, ByteBuffer data, long[] shape, MemoryFormat format) {
    data.order(ByteOrder.nativeOrder());
    switch (dtype) {
      case UINT8:
        return new Tensor_uint8(data, shape, format);
      case INT8:
        return new Tensor_int8(data, shape, format);
      case INT32:
        return new Tensor_int32(data.asIntBuffer(), shape, format);
      case FLOAT32:
        return new Tensor_float32(data.asFloatBuffer(), shape, format);
      case INT64:
        return new Tensor_int64(data.asLongBuffer(), shape, format);
      case FLOAT64:
        return new Tensor_float64(data.asDoubleBuffer(), shape, format);
      case BOOL:
        return new Tensor_bool(data, shape, format);
      case FLOAT16:
        return new Tensor_float16(data.asShortBuffer(), shape, format);
      default:
        throw new IllegalArgumentException("no tensors of " + dtype);
    }
  }

  private IllegalStateException refuse(String wanted) {
    return new IllegalStateException("the elements of " + this + " are no " + wanted);
  }

  private static void check(boolean ok, String message, Object... details) {
    if (!ok) {
      throw new IllegalArgumentException(String.format(Locale.ROOT, message, details));
    }
  }

  private static void checkSize(int elements, long[] shape) {
    long wanted = numel(shape);
    check(
        wanted == elements,
        "a shape of %s has %d elements, the data has %d",
        Arrays.toString(shape),
        wanted,
        elements);
  }

  private static void checkBuffer(Buffer data, ByteOrder order, long[] shape) {
    check(data != null, "the data is null");
    checkSize(data.capacity(), shape);
    check(data.isDirect(), "the buffer is not direct; Tensor.allocate...Buffer makes one that is");
    check(order == ByteOrder.nativeOrder(), "the buffer's byte order is not the CPU's");
  }

  // Where elements are read, the tensor is locked: what holds a lock is not garbage-collected, so
  // that native memory behind the buffer lives until it is read.

  private static final class Tensor_uint8 extends Tensor {
    private final ByteBuffer data;

    Tensor_uint8(ByteBuffer data, long[] shape, MemoryFormat memoryFormat) {
      super(shape, memoryFormat);
      this.data = data;
    }

    @Override
    public DType dtype() {
      return DType.UINT8;
    }

    @Override
    Buffer buffer() {
      return data;
    }

    @Override
    public synchronized byte[] getDataAsUnsignedByteArray() {
      ByteBuffer from = (ByteBuffer) duplicated();
      byte[] elements = new byte[from.remaining()];
      from.get(elements);
      return elements;
    }
  }

  private static final class Tensor_int8 extends Tensor {
    private final ByteBuffer data;

    Tensor_int8(ByteBuffer data, long[] shape, MemoryFormat memoryFormat) {
      super(shape, memoryFormat);
      this.data = data;
    }

    @Override
    public DType dtype() {
      return DType.INT8;
    }

    @Override
    Buffer buffer() {
      return data;
    }

    @Override
    public synchronized byte[] getDataAsByteArray() {
      ByteBuffer from = (ByteBuffer) duplicated();
      byte[] elements = new byte[from.remaining()];
      from.get(elements);
      return elements;
    }
  }

  private static final class Tensor_int32 extends Tensor {
    private final IntBuffer data;

    Tensor_int32(IntBuffer data, long[] shape, MemoryFormat memoryFormat) {
      super(shape, memoryFormat);
      this.data = data;
    }

    @Override
    public DType dtype() {
      return DType.INT32;
    }

    @Override
    Buffer buffer() {
      return data;
    }

    @Override
    public synchronized int[] getDataAsIntArray() {
      IntBuffer from = (IntBuffer) duplicated();
      int[] elements = new int[from.remaining()];
      from.get(elements);
      return elements;
    }
  }

  private static final class Tensor_float32 extends Tensor {
    private final FloatBuffer data;

    Tensor_float32(FloatBuffer data, long[] shape, MemoryFormat memoryFormat) {
      super(shape, memoryFormat);
      this.data = data;
    }

    @Override
    public DType dtype() {
      return DType.FLOAT32;
    }

    @Override
    Buffer buffer() {
      return data;
    }

    @Override
    public synchronized float[] getDataAsFloatArray() {
      FloatBuffer from = (FloatBuffer) duplicated();
      float[] elements = new float[from.remaining()];
      from.get(elements);
      return elements;
    }
  }

  private static final class Tensor_int64 extends Tensor {
    private final LongBuffer data;

    Tensor_int64(LongBuffer data, long[] shape, MemoryFormat memoryFormat) {
      super(shape, memoryFormat);
      this.data = data;
    }

    @Override
    public DType dtype() {
      return DType.INT64;
    }

    @Override
    Buffer buffer() {
      return data;
    }

    @Override
    public synchronized long[] getDataAsLongArray() {
      LongBuffer from = (LongBuffer) duplicated();
      long[] elements = new long[from.remaining()];
      from.get(elements);
      return elements;
    }
  }

  private static final class Tensor_float64 extends Tensor {
    private final DoubleBuffer data;

    Tensor_float64(DoubleBuffer data, long[] shape, MemoryFormat memoryFormat) {
      super(shape, memoryFormat);
      this.data = data;
    }

    @Override
    public DType dtype() {
      return DType.FLOAT64;
    }

    @Override
    Buffer buffer() {
      return data;
    }

    @Override
    public synchronized double[] getDataAsDoubleArray() {
      DoubleBuffer from = (DoubleBuffer) duplicated();
      double[] elements = new double[from.remaining()];
      from.get(elements);
      return elements;
    }
  }

  private static final class Tensor_bool extends Tensor {
    private final ByteBuffer data;

    Tensor_bool(ByteBuffer data, long[] shape, MemoryFormat memoryFormat) {
      super(shape, memoryFormat);
      this.data = data;
    }

    @Override
    public DType dtype() {
      return DType.BOOL;
    }

    @Override
    Buffer buffer() {
      return data;
    }

    @Override
    public synchronized boolean[] getDataAsBooleanArray() {
      ByteBuffer from = (ByteBuffer) duplicated();
      boolean[] elements = new boolean[from.remaining()];
      for (int i = 0; i < elements.length; i++) {
        elements[i] = from.get(i) != 0;
      }
      return elements;
    }
  }

  private static final class Tensor_float16 extends Tensor {
    private final ShortBuffer data;

    Tensor_float16(ShortBuffer data, long[] shape, MemoryFormat memoryFormat) {
      super(shape, memoryFormat);
      this.data = data;
    }

    @Override
    public DType dtype() {
      return DType.FLOAT16;
    }

    @Override
    Buffer buffer() {
      return data;
    }

    @Override
    public synchronized short[] getDataAsHalfArray() {
      ShortBuffer from = (ShortBuffer) duplicated();
      short[] elements = new short[from.remaining()];
      from.get(elements);
      return elements;
    }
  }
}
