import android.media.Image;
import java.util.Arrays;
import org.pytorch.MemoryFormat;
import org.pytorch.Tensor;
import org.pytorch.torchvision.TensorImageUtils;

/** Prints a digest of what pictures become, for comparison with another TensorImageUtils. */
public final class RunImages {
  private static final float[] MEAN = TensorImageUtils.TORCHVISION_NORM_MEAN_RGB;
  private static final float[] DEVIATION = TensorImageUtils.TORCHVISION_NORM_STD_RGB;

  public static void main(String[] arguments) {
    for (int degrees : new int[] {0, 90, 180, 270}) {
      print(ImagesTest.picture(64, 48, 64, 1), degrees, 16, 16);
      print(ImagesTest.picture(48, 64, 80, 2), degrees, 20, 20);
      print(ImagesTest.picture(50, 50, 64, 2), degrees, 50, 50);
    }
    for (int degrees : new int[] {0, 180}) {
      print(ImagesTest.picture(64, 48, 64, 1), degrees, 10, 20);
      print(ImagesTest.picture(64, 48, 72, 2), degrees, 31, 7);
    }
  }

  private static void print(Image image, int degrees, int width, int height) {
    for (MemoryFormat format :
        new MemoryFormat[] {MemoryFormat.CONTIGUOUS, MemoryFormat.CHANNELS_LAST}) {
      Tensor tensor =
          TensorImageUtils.imageYUV420CenterCropToFloat32Tensor(
              image, degrees, width, height, MEAN, DEVIATION, format);
      float[] elements = tensor.getDataAsFloatArray();
      System.out.printf(
          "%d %d %d %s %08x %s%n",
          degrees,
          width,
          height,
          format,
          Arrays.hashCode(elements),
          Arrays.toString(Arrays.copyOf(elements, 4)));
    }
  }
}
