import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertThrows;

import android.graphics.Bitmap;
import android.graphics.ImageFormat;
import android.media.Image;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import org.junit.Test;
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
