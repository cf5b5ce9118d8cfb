import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertThrows;

import android.graphics.Bitmap;
import android.graphics.ImageFormat;
import android.media.Image;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.Arrays;
import org.junit.Test;
import org.junit.function.ThrowingRunnable;
import org.pytorch.MemoryFormat;
import org.pytorch.Tensor;
import org.pytorch.torchvision.TensorImageUtils;

/** Pictures to tensors. */
public class ImagesTest {
  private static final float[] MEAN = {0.5f, 0.25f, 0};
  private static final float[] DEVIATION = {0.5f, 1, 2};
  private static final float[] ZERO = {0, 0, 0};
  private static final float[] ONE = {1, 1, 1};

  @Test
  public void bitmapsAreSplitIntoColoursAndNormalised() {
    Bitmap bitmap = new Bitmap(new int[] {0xffff0000, 0xff00ff00, 0xff0000ff, 0xff336699}, 2);
    Tensor tensor = TensorImageUtils.bitmapToFloat32Tensor(bitmap, MEAN, DEVIATION);
    assertArrayEquals(new long[] {1, 3, 2, 2}, tensor.shape());
    float[] expected = {1, -1, -1, -0.6f, -.25f, .75f, -.25f, .15f, 0, 0, .5f, .3f};
    assertArrayEquals(expected, tensor.getDataAsFloatArray(), 1e-6f);
    Tensor interleaved =
        TensorImageUtils.bitmapToFloat32Tensor(bitmap, MEAN, DEVIATION, MemoryFormat.CHANNELS_LAST);
    assertEquals(MemoryFormat.CHANNELS_LAST, interleaved.memoryFormat());
    float[] pixels = {1, -.25f, 0, -1, .75f, 0, -1, -.25f, .5f, -0.6f, .15f, .3f};
    assertArrayEquals(pixels, interleaved.getDataAsFloatArray(), 1e-6f);
  }

  @Test
  public void anAreaOfABitmapGoesToAnOffset() {
    Bitmap bitmap = new Bitmap(new int[] {0, 0, 0, 0xff00ff}, 2);
    FloatBuffer out = FloatBuffer.allocate(4);
    TensorImageUtils.bitmapToFloatBuffer(bitmap, 1, 1, 1, 1, ZERO, ONE, out, 1);
    assertArrayEquals(new float[] {0, 1, 0, 1}, out.array(), 0);
  }

  /** A picture whose red is 10 times the column, green 10 times the row, and blue 7; rows are padded. */
  private static ByteBuffer rgba(int width, int height, int padding) {
    ByteBuffer pixels = ByteBuffer.allocateDirect((4 * width + padding) * height);
    for (int y = 0; y < height; y++) {
      for (int x = 0; x < width; x++) {
        pixels.put((byte) (10 * x)).put((byte) (10 * y)).put((byte) 7).put((byte) 99);
      }
      pixels.put(new byte[padding]);
    }
    return pixels;
  }

  private static float[] scaled(
      ByteBuffer pixels, int width, int height, int stride, int degrees, int... wanted) {
    float[] whole = {1 / 255f, 1 / 255f, 1 / 255f};
    MemoryFormat format = MemoryFormat.CONTIGUOUS;
    return TensorImageUtils.rgbaScaledToFloat32Tensor(
            pixels, width, height, stride, degrees, wanted[0], wanted[1], ZERO, whole, format)
        .getDataAsFloatArray();
  }

  private static void assertColours(float[] redAndGreen, float[] found) {
    int pixels = found.length / 3;
    float[] blue = new float[pixels];
    Arrays.fill(blue, 7);
    assertArrayEquals(redAndGreen, Arrays.copyOf(found, 2 * pixels), 1e-3f);
    assertArrayEquals(blue, Arrays.copyOfRange(found, 2 * pixels, 3 * pixels), 1e-3f);
  }

  @Test
  public void framesOfRgbaAreCroppedTurnedAndScaled() {
    ByteBuffer pixels = rgba(4, 2, 5);
    float[] same = {0, 10, 20, 30, 0, 10, 20, 30, 0, 0, 0, 0, 10, 10, 10, 10};
    assertColours(same, scaled(pixels, 4, 2, 21, 0, 4, 2));
    // The middle 2 columns; one element mixes four pixels.
    assertColours(new float[] {15, 5}, scaled(pixels, 4, 2, 21, 0, 1, 1));
    float[] large = scaled(pixels, 4, 2, 21, 0, 4, 4);
    for (int i = 0; i < 16; i++) {
      // Columns 0.75, 1.25, 1.75 and 2.25; there is no row before the first.
      assertEquals(new float[] {7.5f, 12.5f, 17.5f, 22.5f}[i % 4], large[i], 1e-3f);
      assertEquals(new float[] {0, 2.5f, 7.5f, 10}[i / 4], large[16 + i], 1e-3f);
    }
    // Turned clockwise, the lower left pixel is the upper left one.
    float[] right = {0, 0, 10, 10, 20, 20, 30, 30, 10, 0, 10, 0, 10, 0, 10, 0};
    assertColours(right, scaled(pixels, 4, 2, 21, 90, 2, 4));
    float[] around = {30, 20, 10, 0, 30, 20, 10, 0, 10, 10, 10, 10, 0, 0, 0, 0};
    assertColours(around, scaled(pixels, 4, 2, 21, 180, 4, 2));
    float[] left = {30, 30, 20, 20, 10, 10, 0, 0, 0, 10, 0, 10, 0, 10, 0, 10};
    assertColours(left, scaled(pixels, 4, 2, 21, 270, 2, 4));
    assertColours(new float[] {0, 0}, scaled(rgba(1, 1, 0), 1, 1, 4, 0, 1, 1));
  }

  @Test
  public void framesThatDoNotHoldWhatTheirStridesSayAreRefused() {
    ByteBuffer pixels = rgba(4, 2, 0);
    int most = Integer.MAX_VALUE;
    assertRefused(() -> scaled(pixels, 4, 2, 15, 0, 2, 2)); // rows that overlap
    assertRefused(() -> scaled(pixels, 4, 2, 17, 0, 2, 2));
    assertRefused(() -> scaled(pixels, 4, 3, 16, 0, 2, 2));
    assertRefused(() -> scaled(pixels, 0, 2, 16, 0, 2, 2));
    assertRefused(() -> scaled(pixels, 4, -2, 16, 0, 2, 2));
    assertRefused(() -> scaled(pixels, most, 2, most, 0, 2, 2));
    assertRefused(() -> scaled(pixels, 4, most, most, 0, 2, 2));
    assertRefused(() -> scaled(pixels, 4, 2, 16, 45, 2, 2));
    assertRefused(() -> scaled(pixels, 4, 2, 16, 0, 0, 2));
    assertRefused(() -> scaled(null, 4, 2, 16, 0, 2, 2));
    assertRefused(() -> scaled(ByteBuffer.allocate(32), 4, 2, 16, 0, 2, 2));
    ByteBuffer swapped = ByteBuffer.allocateDirect(48).order(ByteOrder.BIG_ENDIAN);
    for (FloatBuffer out : new FloatBuffer[] {FloatBuffer.allocate(12), swapped.asFloatBuffer()}) {
      assertRefused(
          () ->
              TensorImageUtils.rgbaScaledToFloatBuffer(
                  pixels, 4, 2, 16, 0, 2, 2, ZERO, ONE, out, 0, MemoryFormat.CONTIGUOUS));
    }
  }

  private static void assertRefused(ThrowingRunnable call) {
    assertThrows(IllegalArgumentException.class, call);
  }

  @Test
  public void camerasPicturesAreScaledBilinearlyToo() {
    Image picture = picture(4, 4, 4, 1);
    Tensor steps =
        TensorImageUtils.imageYUV420CenterCropToFloat32Tensor(picture, 0, 4, 4, ZERO, ONE);
    Tensor smooth =
        TensorImageUtils.imageYUV420ScaledToFloat32Tensor(
            picture, 0, 4, 4, ZERO, ONE, MemoryFormat.CONTIGUOUS);
    assertArrayEquals(steps.getDataAsFloatArray(), smooth.getDataAsFloatArray(), 1e-6f);
  }

  @Test
  public void wrongArgumentsAreRefused() {
    Bitmap bitmap = new Bitmap(new int[1], 1);
    float[] two = {0, 0};
    assertThrows(
        IllegalArgumentException.class,
        () -> TensorImageUtils.bitmapToFloat32Tensor(bitmap, two, ONE));
    assertThrows(
        IllegalStateException.class,
        () ->
            TensorImageUtils.bitmapToFloatBuffer(
                bitmap, 0, 0, 1, 1, ZERO, ONE, FloatBuffer.allocate(2), 0));
    assertThrows(
        IllegalArgumentException.class,
        () ->
            TensorImageUtils.bitmapToFloat32Tensor(
                bitmap, ZERO, ONE, MemoryFormat.CHANNELS_LAST_3D));
    Image picture = picture(4, 4, 4, 1);
    assertThrows(
        IllegalArgumentException.class,
        () -> TensorImageUtils.imageYUV420CenterCropToFloat32Tensor(picture, 45, 2, 2, ZERO, ONE));
    assertThrows(
        IllegalArgumentException.class,
        () -> TensorImageUtils.imageYUV420CenterCropToFloat32Tensor(picture, 0, 0, 2, ZERO, ONE));
    FloatBuffer room = Tensor.allocateFloatBuffer(12);
    FloatBuffer foreign =
        ByteBuffer.allocateDirect(48).order(ByteOrder.BIG_ENDIAN).asFloatBuffer();
    for (FloatBuffer out : new FloatBuffer[] {null, room.asReadOnlyBuffer(), foreign}) {
      assertThrows(
          IllegalArgumentException.class,
          () ->
              TensorImageUtils.imageYUV420CenterCropToFloatBuffer(
                  picture, 0, 2, 2, ZERO, ONE, out, 0));
    }
    assertThrows(
        IllegalArgumentException.class,
        () -> TensorImageUtils.imageYUV420CenterCropToFloat32Tensor(null, 0, 2, 2, ZERO, ONE));
    assertThrows(
        IllegalArgumentException.class,
        () -> TensorImageUtils.imageYUV420CenterCropToFloat32Tensor(picture, 0, 2, 2, null, ONE));
    int apart = 1 << 30; // so that a column of no rows would end before the buffer
    for (int[] size : new int[][] {{4, 0}, {0, 4}, {4, -3}, {-2_000_000_000, 4}, {0, 0}}) {
      Image.Plane empty = new Image.Plane(ByteBuffer.allocateDirect(64), apart, 1);
      Image none = new Image(ImageFormat.YUV_420_888, size[0], size[1], empty, empty, empty);
      assertRefused(
          () -> TensorImageUtils.imageYUV420CenterCropToFloat32Tensor(none, 0, 2, 2, ZERO, ONE));
      assertRefused(
          () ->
              TensorImageUtils.imageYUV420ScaledToFloat32Tensor(
                  none, 0, 2, 2, ZERO, ONE, MemoryFormat.CONTIGUOUS));
    }
    Image jpeg = new Image(256, 4, 4);
    assertThrows(
        IllegalArgumentException.class,
        () -> TensorImageUtils.imageYUV420CenterCropToFloat32Tensor(jpeg, 0, 2, 2, ZERO, ONE));
    assertThrows(
        IllegalArgumentException.class,
        () ->
            TensorImageUtils.imageYUV420CenterCropToFloatBuffer(
                picture, 0, 2, 2, ZERO, ONE, FloatBuffer.allocate(12), 0));
    ByteBuffer small = ByteBuffer.allocateDirect(4);
    Image.Plane plane = new Image.Plane(small, 4, 1);
    Image lying = new Image(ImageFormat.YUV_420_888, 4, 4, plane, plane, plane);
    assertThrows(
        IllegalArgumentException.class,
        () -> TensorImageUtils.imageYUV420CenterCropToFloat32Tensor(lying, 0, 2, 2, ZERO, ONE));
  }

  @Test
  public void greyPicturesBecomeGrey() {
    ByteBuffer luma = ByteBuffer.allocateDirect(16);
    ByteBuffer chroma = ByteBuffer.allocateDirect(4);
    for (int i = 0; i < 16; i++) {
      luma.put(i, (byte) (16 + 219 * i / 15));
    }
    for (int i = 0; i < 4; i++) {
      chroma.put(i, (byte) 128);
    }
    Image.Plane quarter = new Image.Plane(chroma, 2, 1);
    Image image =
        new Image(ImageFormat.YUV_420_888, 4, 4, new Image.Plane(luma, 4, 1), quarter, quarter);
    float[] rgb =
        TensorImageUtils.imageYUV420CenterCropToFloat32Tensor(image, 180, 4, 4, ZERO, ONE)
            .getDataAsFloatArray();
    for (int i = 0; i < 16; i++) {
      float expected = (15 - i) / 15f;
      for (int channel = 0; channel < 3; channel++) {
        assertEquals(expected, rgb[16 * channel + i], 0.01f);
      }
    }
  }

  static Image picture(int width, int height, int rowStride, int chromaStride) {
    return new Image(
        ImageFormat.YUV_420_888,
        width,
        height,
        plane(rowStride * height, rowStride, 1, 1),
        plane(rowStride * height, rowStride, chromaStride, 2),
        plane(rowStride * height, rowStride, chromaStride, 3));
  }

  private static Image.Plane plane(int size, int rowStride, int pixelStride, int seed) {
    ByteBuffer buffer = ByteBuffer.allocateDirect(size);
    new java.util.Random(seed).ints(size).forEach(number -> buffer.put((byte) number));
    return new Image.Plane(buffer, rowStride, pixelStride);
  }
}
