package org.pytorch.torchvision;

import android.graphics.Bitmap;
import android.graphics.ImageFormat;
import android.media.Image;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.Locale;
import org.jetbrains.annotations.NotNull;
import org.pytorch.MemoryFormat;
import org.pytorch.NativeLibrary;
import org.pytorch.Tensor;

/**
 * Makes tensors of shape 1, 3, height, width from pictures: red, green and blue from 0 to 1, less a
 * mean, divided by a standard deviation.
 */
public final class TensorImageUtils {
  /** Means of red, green and blue that torchvision's models were trained with. */
  public static float[] TORCHVISION_NORM_MEAN_RGB = {0.485f, 0.456f, 0.406f};

  /** Standard deviations of red, green and blue that torchvision's models were trained with. */
  public static float[] TORCHVISION_NORM_STD_RGB = {0.229f, 0.224f, 0.225f};

  private static final int CHANNELS = 3;

  /** Has no use: all members are static. */
  public TensorImageUtils() {}

  /**
   * Makes a tensor from a bitmap.
   *
   * @param bitmap the picture
   * @param normMeanRGB means of red, green and blue
   * @param normStdRGB standard deviations of red, green and blue
   * @param memoryFormat {@link MemoryFormat#CONTIGUOUS} or {@link MemoryFormat#CHANNELS_LAST}
   * @return the tensor
   * @throws IllegalArgumentException if an argument is not one of those named, or the length of
   *     an array is not 3
   */
  @NotNull
  public static Tensor bitmapToFloat32Tensor(
      @NotNull final Bitmap bitmap,
      @NotNull final float[] normMeanRGB,
      @NotNull final float[] normStdRGB,
      @NotNull final MemoryFormat memoryFormat) {
    return bitmapToFloat32Tensor(
        bitmap, 0, 0, bitmap.getWidth(), bitmap.getHeight(), normMeanRGB, normStdRGB, memoryFormat);
  }

  /**
   * Makes a contiguous tensor from a bitmap.
   *
   * @param bitmap the picture
   * @param normMeanRGB means of red, green and blue
   * @param normStdRGB standard deviations of red, green and blue
   * @return the tensor
   * @throws IllegalArgumentException if an argument is not one of those named, or the length of
   *     an array is not 3
   */
  @NotNull
  public static Tensor bitmapToFloat32Tensor(
      @NotNull final Bitmap bitmap,
      @NotNull final float[] normMeanRGB,
      @NotNull final float[] normStdRGB) {
    return bitmapToFloat32Tensor(bitmap, normMeanRGB, normStdRGB, MemoryFormat.CONTIGUOUS);
  }

  /**
   * Makes a tensor from an area of a bitmap.
   *
   * @param bitmap the picture
   * @param x left edge of the area
   * @param y upper edge of the area
   * @param width of the area
   * @param height of the area
   * @param normMeanRGB means of red, green and blue
   * @param normStdRGB standard deviations of red, green and blue
   * @param memoryFormat {@link MemoryFormat#CONTIGUOUS} or {@link MemoryFormat#CHANNELS_LAST}
   * @return the tensor
   * @throws IllegalArgumentException if an argument is not one of those named, or the length of
   *     an array is not 3
   */
  @NotNull
  public static Tensor bitmapToFloat32Tensor(
      @NotNull final Bitmap bitmap,
      int x,
      int y,
      int width,
      int height,
      @NotNull float[] normMeanRGB,
      @NotNull float[] normStdRGB,
      @NotNull MemoryFormat memoryFormat) {
    FloatBuffer buffer = allocate(width, height);
    bitmapToFloatBuffer(
        bitmap, x, y, width, height, normMeanRGB, normStdRGB, buffer, 0, memoryFormat);
    return Tensor.fromBlob(buffer, new long[] {1, CHANNELS, height, width}, memoryFormat);
  }

  /**
   * Makes a contiguous tensor from an area of a bitmap.
   *
   * @param bitmap the picture
   * @param x left edge of the area
   * @param y upper edge of the area
   * @param width of the area
   * @param height of the area
   * @param normMeanRGB means of red, green and blue
   * @param normStdRGB standard deviations of red, green and blue
   * @return the tensor
   * @throws IllegalArgumentException if an argument is not one of those named, or the length of
   *     an array is not 3
   */
  @NotNull
  public static Tensor bitmapToFloat32Tensor(
      @NotNull final Bitmap bitmap,
      int x,
      int y,
      int width,
      int height,
      @NotNull float[] normMeanRGB,
      @NotNull float[] normStdRGB) {
    return bitmapToFloat32Tensor(
        bitmap, x, y, width, height, normMeanRGB, normStdRGB, MemoryFormat.CONTIGUOUS);
  }

  /**
   * Writes the elements of a tensor from an area of a bitmap.
   *
   * @param bitmap the picture
   * @param x left edge of the area
   * @param y upper edge of the area
   * @param width of the area
   * @param height of the area
   * @param normMeanRGB means of red, green and blue
   * @param normStdRGB standard deviations of red, green and blue
   * @param outBuffer what to write to
   * @param outBufferOffset at which element to begin
   * @param memoryFormat {@link MemoryFormat#CONTIGUOUS} or {@link MemoryFormat#CHANNELS_LAST}
   * @throws IllegalArgumentException if an argument is not one of those named, or the length of
   *     an array is not 3
   * @throws IllegalStateException if the buffer is too small
   */
  public static void bitmapToFloatBuffer(
      @NotNull final Bitmap bitmap,
      final int x,
      final int y,
      final int width,
      final int height,
      @NotNull final float[] normMeanRGB,
      @NotNull final float[] normStdRGB,
      @NotNull final FloatBuffer outBuffer,
      final int outBufferOffset,
      @NotNull final MemoryFormat memoryFormat) {
    checkArguments(width, height, normMeanRGB, normStdRGB, memoryFormat);
    checkCapacity(outBuffer, outBufferOffset, width, height);
    int count = width * height;
    int[] pixels = new int[count];
    bitmap.getPixels(pixels, 0, width, x, y, width, height);
    boolean interleaved = memoryFormat == MemoryFormat.CHANNELS_LAST;
    int step = interleaved ? CHANNELS : 1;
    int apart = interleaved ? 1 : count;
    for (int channel = 0; channel < CHANNELS; channel++) {
      float[] normalised = tabulate(normMeanRGB[channel], normStdRGB[channel]);
      int shift = 16 - 8 * channel;
      int at = outBufferOffset + channel * apart;
      for (int i = 0; i < count; i++, at += step) {
        outBuffer.put(at, normalised[pixels[i] >> shift & 0xff]);
      }
    }
  }

  /**
   * Writes the elements of a contiguous tensor from an area of a bitmap.
   *
   * @param bitmap the picture
   * @param x left edge of the area
   * @param y upper edge of the area
   * @param width of the area
   * @param height of the area
   * @param normMeanRGB means of red, green and blue
   * @param normStdRGB standard deviations of red, green and blue
   * @param outBuffer what to write to
   * @param outBufferOffset at which element to begin
   * @throws IllegalArgumentException if an argument is not one of those named, or the length of
   *     an array is not 3
   * @throws IllegalStateException if the buffer is too small
   */
  public static void bitmapToFloatBuffer(
      @NotNull final Bitmap bitmap,
      final int x,
      final int y,
      final int width,
      final int height,
      @NotNull final float[] normMeanRGB,
      @NotNull final float[] normStdRGB,
      @NotNull final FloatBuffer outBuffer,
      final int outBufferOffset) {
    bitmapToFloatBuffer(
        bitmap,
        x,
        y,
        width,
        height,
        normMeanRGB,
        normStdRGB,
        outBuffer,
        outBufferOffset,
        MemoryFormat.CONTIGUOUS);
  }

  /**
   * Makes a tensor from the middle of a camera's picture, turned and scaled to the nearest pixel.
   *
   * @param image the picture, of format {@link ImageFormat#YUV_420_888}
   * @param rotateCWDegrees rotation of the image, clockwise in degrees: 0, 90, 180 or 270
   * @param tensorWidth width of the tensor
   * @param tensorHeight height of the tensor
   * @param normMeanRGB means of red, green and blue
   * @param normStdRGB standard deviations of red, green and blue
   * @param memoryFormat {@link MemoryFormat#CONTIGUOUS} or {@link MemoryFormat#CHANNELS_LAST}
   * @return the tensor
   * @throws IllegalArgumentException if an argument is not one of those named, or the length of
   *     an array is not 3
   */
  @NotNull
  public static Tensor imageYUV420CenterCropToFloat32Tensor(
      @NotNull final Image image,
      int rotateCWDegrees,
      final int tensorWidth,
      final int tensorHeight,
      @NotNull float[] normMeanRGB,
      @NotNull float[] normStdRGB,
      @NotNull MemoryFormat memoryFormat) {
    FloatBuffer buffer = allocate(tensorWidth, tensorHeight);
    imageYUV420CenterCropToFloatBuffer(
        image,
        rotateCWDegrees,
        tensorWidth,
        tensorHeight,
        normMeanRGB,
        normStdRGB,
        buffer,
        0,
        memoryFormat);
    long[] shape = {1, CHANNELS, tensorHeight, tensorWidth};
    return Tensor.fromBlob(buffer, shape, memoryFormat);
  }

  /**
   * Makes a contiguous tensor from the middle of a camera's picture, turned and scaled to the
   * nearest pixel.
   *
   * @param image the picture, of format {@link ImageFormat#YUV_420_888}
   * @param rotateCWDegrees rotation of the image, clockwise in degrees: 0, 90, 180 or 270
   * @param tensorWidth width of the tensor
   * @param tensorHeight height of the tensor
   * @param normMeanRGB means of red, green and blue
   * @param normStdRGB standard deviations of red, green and blue
   * @return the tensor
   * @throws IllegalArgumentException if an argument is not one of those named, or the length of
   *     an array is not 3
   */
  @NotNull
  public static Tensor imageYUV420CenterCropToFloat32Tensor(
      @NotNull final Image image,
      int rotateCWDegrees,
      final int tensorWidth,
      final int tensorHeight,
      @NotNull float[] normMeanRGB,
      @NotNull float[] normStdRGB) {
    return imageYUV420CenterCropToFloat32Tensor(
        image,
        rotateCWDegrees,
        tensorWidth,
        tensorHeight,
        normMeanRGB,
        normStdRGB,
        MemoryFormat.CONTIGUOUS);
  }

  /**
   * Writes the elements of a tensor from the middle of a camera's picture, turned and scaled to
   * the nearest pixel.
   *
   * @param image the picture, of format {@link ImageFormat#YUV_420_888}
   * @param rotateCWDegrees rotation of the image, clockwise in degrees: 0, 90, 180 or 270
   * @param tensorWidth width of the tensor
   * @param tensorHeight height of the tensor
   * @param normMeanRGB means of red, green and blue
   * @param normStdRGB standard deviations of red, green and blue
   * @param outBuffer what to write to; a direct buffer in the CPU's byte order
   * @param outBufferOffset at which element to begin
   * @param memoryFormat {@link MemoryFormat#CONTIGUOUS} or {@link MemoryFormat#CHANNELS_LAST}
   * @throws IllegalArgumentException if an argument is not one of those named, or the length of
   *     an array is not 3
   * @throws IllegalStateException if the buffer is too small
   */
  public static void imageYUV420CenterCropToFloatBuffer(
      @NotNull final Image image,
      int rotateCWDegrees,
      final int tensorWidth,
      final int tensorHeight,
      @NotNull float[] normMeanRGB,
      @NotNull float[] normStdRGB,
      @NotNull final FloatBuffer outBuffer,
      final int outBufferOffset,
      @NotNull final MemoryFormat memoryFormat) {
    check(image != null, "the picture is null");
    check(
        image.getFormat() == ImageFormat.YUV_420_888,
        "an image of format %d, not YUV_420_888",
        image.getFormat());
    checkRotation(rotateCWDegrees);
    checkArguments(tensorWidth, tensorHeight, normMeanRGB, normStdRGB, memoryFormat);
    checkCapacity(outBuffer, outBufferOffset, tensorWidth, tensorHeight);
    checkWritable(outBuffer);
    Image.Plane[] planes = image.getPlanes();
    NativeLibrary.load();
    NativePeer.convert(
        planes[0].getBuffer(),
        planes[1].getBuffer(),
        planes[2].getBuffer(),
        new int[] {
          planes[0].getRowStride(),
          planes[0].getPixelStride(),
          planes[1].getRowStride(),
          planes[1].getPixelStride()
        },
        image.getWidth(),
        image.getHeight(),
        rotateCWDegrees,
        tensorWidth,
        tensorHeight,
        new float[][] {normMeanRGB, normStdRGB},
        outBuffer,
        outBufferOffset,
        memoryFormat == MemoryFormat.CHANNELS_LAST);
  }

  /**
   * Writes the elements of a contiguous tensor from the middle of a camera's picture, turned and
   * scaled to the nearest pixel.
   *
   * @param image the picture, of format {@link ImageFormat#YUV_420_888}
   * @param rotateCWDegrees rotation of the image, clockwise in degrees: 0, 90, 180 or 270
   * @param tensorWidth width of the tensor
   * @param tensorHeight height of the tensor
   * @param normMeanRGB means of red, green and blue
   * @param normStdRGB standard deviations of red, green and blue
   * @param outBuffer what to write to; a direct buffer in the CPU's byte order
   * @param outBufferOffset at which element to begin
   * @throws IllegalArgumentException if an argument is not one of those named, or the length of
   *     an array is not 3
   * @throws IllegalStateException if the buffer is too small
   */
  public static void imageYUV420CenterCropToFloatBuffer(
      @NotNull final Image image,
      int rotateCWDegrees,
      final int tensorWidth,
      final int tensorHeight,
      @NotNull float[] normMeanRGB,
      @NotNull float[] normStdRGB,
      @NotNull final FloatBuffer outBuffer,
      final int outBufferOffset) {
    imageYUV420CenterCropToFloatBuffer(
        image,
        rotateCWDegrees,
        tensorWidth,
        tensorHeight,
        normMeanRGB,
        normStdRGB,
        outBuffer,
        outBufferOffset,
        MemoryFormat.CONTIGUOUS);
  }

  /**
   * Makes a tensor from the middle of a picture of RGBA pixels, as CameraX gives with {@code
   * OUTPUT_IMAGE_FORMAT_RGBA_8888}, turned and scaled bilinearly.
   *
   * @param pixels the picture, from the first byte of the buffer on: red, green, blue and alpha of each pixel, which is
   *     not used. A direct buffer
   * @param width of the picture, in pixels
   * @param height of the picture, in pixels
   * @param rowStride bytes from one row to the next
   * @param rotateCWDegrees rotation of the picture, clockwise in degrees: 0, 90, 180 or 270
   * @param tensorWidth width of the tensor
   * @param tensorHeight height of the tensor
   * @param normMeanRGB means of red, green and blue
   * @param normStdRGB standard deviations of red, green and blue
   * @param memoryFormat {@link MemoryFormat#CONTIGUOUS} or {@link MemoryFormat#CHANNELS_LAST}
   * @return the tensor
   * @throws IllegalArgumentException if an argument is not one of those named, the length of an array is not 3, or
   *     a buffer is smaller than the sizes and strides say
   */
  @NotNull
  public static Tensor rgbaScaledToFloat32Tensor(
      @NotNull ByteBuffer pixels,
      int width,
      int height,
      int rowStride,
      int rotateCWDegrees,
      int tensorWidth,
      int tensorHeight,
      @NotNull float[] normMeanRGB,
      @NotNull float[] normStdRGB,
      @NotNull MemoryFormat memoryFormat) {
    FloatBuffer buffer = allocate(tensorWidth, tensorHeight);
    rgbaScaledToFloatBuffer(
        pixels,
        width,
        height,
        rowStride,
        rotateCWDegrees,
        tensorWidth,
        tensorHeight,
        normMeanRGB,
        normStdRGB,
        buffer,
        0,
        memoryFormat);
    return Tensor.fromBlob(
        buffer, new long[] {1, CHANNELS, tensorHeight, tensorWidth}, memoryFormat);
  }

  /**
   * Writes the elements of a tensor from the middle of a picture of RGBA pixels, turned and scaled bilinearly: each is
   * mixed of the four pixels around its place, as PyTorch's {@code interpolate} does without {@code align_corners} and
   * {@code antialias}.
   *
   * @param pixels the picture, from the first byte of the buffer on: red, green, blue and alpha of each pixel, which is
   *     not used. A direct buffer
   * @param width of the picture, in pixels
   * @param height of the picture, in pixels
   * @param rowStride bytes from one row to the next
   * @param rotateCWDegrees rotation of the picture, clockwise in degrees: 0, 90, 180 or 270
   * @param tensorWidth width of the tensor
   * @param tensorHeight height of the tensor
   * @param normMeanRGB means of red, green and blue
   * @param normStdRGB standard deviations of red, green and blue
   * @param outBuffer what to write to; a direct buffer in the CPU's byte order
   * @param outBufferOffset at which element to begin
   * @param memoryFormat {@link MemoryFormat#CONTIGUOUS} or {@link MemoryFormat#CHANNELS_LAST}
   * @throws IllegalArgumentException if an argument is not one of those named, the length of an array is not 3, or
   *     a buffer is smaller than the sizes and strides say
   * @throws IllegalStateException if the buffer to write to is too small
   */
  public static void rgbaScaledToFloatBuffer(
      @NotNull ByteBuffer pixels,
      int width,
      int height,
      int rowStride,
      int rotateCWDegrees,
      int tensorWidth,
      int tensorHeight,
      @NotNull float[] normMeanRGB,
      @NotNull float[] normStdRGB,
      @NotNull FloatBuffer outBuffer,
      int outBufferOffset,
      @NotNull MemoryFormat memoryFormat) {
    check(pixels != null, "the picture is null");
    check(
        width > 0 && height > 0 && width <= Integer.MAX_VALUE / 4,
        "a picture of width %d and height %d",
        width,
        height);
    check(rowStride >= 4 * width, "rows of %d bytes, which %d pixels do not fit", rowStride, width);
    scale(
        new ByteBuffer[] {pixels, null, null},
        new int[] {rowStride, 4, 0, 0},
        new int[] {width, height, rotateCWDegrees, tensorWidth, tensorHeight},
        new float[][] {normMeanRGB, normStdRGB},
        outBuffer,
        outBufferOffset,
        memoryFormat);
  }

  /**
   * Makes a tensor from the middle of a camera's picture, turned and scaled bilinearly. A picture that is turned by 90 or
   * 270 degrees is not mirrored.
   *
   * @param image the picture, of format {@link ImageFormat#YUV_420_888}
   * @param rotateCWDegrees rotation of the picture, clockwise in degrees: 0, 90, 180 or 270
   * @param tensorWidth width of the tensor
   * @param tensorHeight height of the tensor
   * @param normMeanRGB means of red, green and blue
   * @param normStdRGB standard deviations of red, green and blue
   * @param memoryFormat {@link MemoryFormat#CONTIGUOUS} or {@link MemoryFormat#CHANNELS_LAST}
   * @return the tensor
   * @throws IllegalArgumentException if an argument is not one of those named, the length of an array is not 3, or
   *     a buffer is smaller than the sizes and strides say
   */
  @NotNull
  public static Tensor imageYUV420ScaledToFloat32Tensor(
      @NotNull Image image,
      int rotateCWDegrees,
      int tensorWidth,
      int tensorHeight,
      @NotNull float[] normMeanRGB,
      @NotNull float[] normStdRGB,
      @NotNull MemoryFormat memoryFormat) {
    FloatBuffer buffer = allocate(tensorWidth, tensorHeight);
    imageYUV420ScaledToFloatBuffer(
        image,
        rotateCWDegrees,
        tensorWidth,
        tensorHeight,
        normMeanRGB,
        normStdRGB,
        buffer,
        0,
        memoryFormat);
    return Tensor.fromBlob(
        buffer, new long[] {1, CHANNELS, tensorHeight, tensorWidth}, memoryFormat);
  }

  /**
   * Writes the elements of a tensor from the middle of a camera's picture, turned and scaled bilinearly.
   *
   * @param image the picture, of format {@link ImageFormat#YUV_420_888}
   * @param rotateCWDegrees rotation of the picture, clockwise in degrees: 0, 90, 180 or 270
   * @param tensorWidth width of the tensor
   * @param tensorHeight height of the tensor
   * @param normMeanRGB means of red, green and blue
   * @param normStdRGB standard deviations of red, green and blue
   * @param outBuffer what to write to; a direct buffer in the CPU's byte order
   * @param outBufferOffset at which element to begin
   * @param memoryFormat {@link MemoryFormat#CONTIGUOUS} or {@link MemoryFormat#CHANNELS_LAST}
   * @throws IllegalArgumentException if an argument is not one of those named, the length of an array is not 3, or
   *     a buffer is smaller than the sizes and strides say
   * @throws IllegalStateException if the buffer to write to is too small
   */
  public static void imageYUV420ScaledToFloatBuffer(
      @NotNull Image image,
      int rotateCWDegrees,
      int tensorWidth,
      int tensorHeight,
      @NotNull float[] normMeanRGB,
      @NotNull float[] normStdRGB,
      @NotNull FloatBuffer outBuffer,
      int outBufferOffset,
      @NotNull MemoryFormat memoryFormat) {
    check(image != null, "the picture is null");
    check(
        image.getFormat() == ImageFormat.YUV_420_888,
        "an image of format %d, not YUV_420_888",
        image.getFormat());
    Image.Plane[] planes = image.getPlanes();
    scale(
        new ByteBuffer[] {
          planes[0].getBuffer(), planes[1].getBuffer(), planes[2].getBuffer()
        },
        new int[] {
          planes[0].getRowStride(),
          planes[0].getPixelStride(),
          planes[1].getRowStride(),
          planes[1].getPixelStride()
        },
        new int[] {
          image.getWidth(), image.getHeight(), rotateCWDegrees, tensorWidth, tensorHeight
        },
        new float[][] {normMeanRGB, normStdRGB},
        outBuffer,
        outBufferOffset,
        memoryFormat);
  }

  /** `sizes` are width, height and rotation of the picture, and width and height of the tensor. */
  private static void scale(
      ByteBuffer[] planes,
      int[] strides,
      int[] sizes,
      float[][] meanAndDeviation,
      FloatBuffer out,
      int offset,
      MemoryFormat memoryFormat) {
    checkRotation(sizes[2]);
    checkArguments(sizes[3], sizes[4], meanAndDeviation[0], meanAndDeviation[1], memoryFormat);
    checkCapacity(out, offset, sizes[3], sizes[4]);
    checkWritable(out);
    NativeLibrary.load();
    NativePeer.scale(
        planes[0],
        planes[1],
        planes[2],
        strides,
        sizes[0],
        sizes[1],
        sizes[2],
        sizes[3],
        sizes[4],
        meanAndDeviation,
        out,
        offset,
        memoryFormat == MemoryFormat.CHANNELS_LAST);
  }

  private static void checkWritable(FloatBuffer out) {
    check(out.order() == ByteOrder.nativeOrder(), "the buffer's byte order is not the CPU's");
    check(!out.isReadOnly(), "the buffer to write to is read-only");
  }

  private static void checkRotation(int degrees) {
    check(
        degrees % 90 == 0 && degrees >= 0 && degrees < 360,
        "turned by %d degrees, which is none of 0, 90, 180 and 270",
        degrees);
  }

  private static FloatBuffer allocate(int width, int height) {
    checkSize(width, height);
    return Tensor.allocateFloatBuffer(CHANNELS * width * height);
  }

  /** Returns what each of the 256 intensities becomes. */
  private static float[] tabulate(float mean, float deviation) {
    float[] normalised = new float[256];
    for (int i = 0; i < normalised.length; i++) {
      normalised[i] = (i / 255.0f - mean) / deviation;
    }
    return normalised;
  }

  private static void check(boolean ok, String message, Object... details) {
    if (!ok) {
      throw new IllegalArgumentException(String.format(Locale.ROOT, message, details));
    }
  }

  private static void checkSize(int width, int height) {
    check(
        width > 0 && height > 0 && (long) width * height <= Integer.MAX_VALUE / (4 * CHANNELS),
        "a tensor of width %d and height %d",
        width,
        height);
  }

  private static void checkArguments(
      int width, int height, float[] means, float[] deviations, MemoryFormat memoryFormat) {
    checkSize(width, height);
    check(means != null && deviations != null, "the means or the deviations are null");
    check(means.length == CHANNELS, "%d means instead of 3", means.length);
    check(deviations.length == CHANNELS, "%d deviations instead of 3", deviations.length);
    check(
        memoryFormat == MemoryFormat.CONTIGUOUS || memoryFormat == MemoryFormat.CHANNELS_LAST,
        "pictures have no memory format %s",
        memoryFormat);
  }

  private static void checkCapacity(FloatBuffer buffer, int offset, int width, int height) {
    check(buffer != null, "the buffer to write to is null");
    int wanted = CHANNELS * width * height;
    if (offset < 0 || wanted > buffer.capacity() - offset) {
      throw new IllegalStateException(
          String.format(
              Locale.ROOT,
              "a buffer of %d elements is too small for %d from %d on",
              buffer.capacity(),
              wanted,
              offset));
    }
  }

  private static final class NativePeer {
    /** `strides` are those of rows and pixels of luma, then of chroma. */
    static native void convert(
        ByteBuffer luma,
        ByteBuffer blue,
        ByteBuffer red,
        int[] strides,
        int imageWidth,
        int imageHeight,
        int degrees,
        int tensorWidth,
        int tensorHeight,
        float[][] meanAndDeviation,
        FloatBuffer out,
        int offset,
        boolean channelsLast);

    /** The same, bilinearly. Of a picture of RGBA, `first` are all channels, and the others null. */
    static native void scale(
        ByteBuffer first,
        ByteBuffer blue,
        ByteBuffer red,
        int[] strides,
        int imageWidth,
        int imageHeight,
        int degrees,
        int tensorWidth,
        int tensorHeight,
        float[][] meanAndDeviation,
        FloatBuffer out,
        int offset,
        boolean channelsLast);
  }
}
