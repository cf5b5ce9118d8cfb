package example.classify;

import android.app.Activity;
import android.graphics.Bitmap;
import android.media.Image;
import android.media.ImageReader;
import android.os.Bundle;
import java.nio.FloatBuffer;
import org.pytorch.IValue;
import org.pytorch.LiteModuleLoader;
import org.pytorch.MemoryFormat;
import org.pytorch.Module;
import org.pytorch.PyTorchAndroid;
import org.pytorch.Tensor;
import org.pytorch.torchvision.TensorImageUtils;

/** What apps on the published artifacts write. */
public class Camera extends Activity implements ImageReader.OnImageAvailableListener {
  private static final int SIZE = 224;
  private Module module;

  @Override
  protected void onCreate(Bundle state) {
    super.onCreate(state);
    PyTorchAndroid.setNumThreads(2);
    module = LiteModuleLoader.load(getFilesDir() + "/model.ptl");
    Module shipped = LiteModuleLoader.loadModuleFromAsset(getAssets(), "model.ptl");
    Module another = Module.load(getFilesDir() + "/another.ptl");
    Tensor input =
        TensorImageUtils.bitmapToFloat32Tensor(
            Bitmap.createBitmap(SIZE, SIZE, Bitmap.Config.ARGB_8888),
            TensorImageUtils.TORCHVISION_NORM_MEAN_RGB,
            TensorImageUtils.TORCHVISION_NORM_STD_RGB,
            MemoryFormat.CHANNELS_LAST);
    IValue scores = shipped.forward(IValue.from(input));
    Tensor ids = Tensor.fromBlob(new long[] {scores.toTensor().shape().length}, new long[] {1});
    show(another.runMethod("name", IValue.listFrom(ids)).toTensor());
    shipped.destroy();
  }

  @Override
  public void onImageAvailable(ImageReader reader) {
    FloatBuffer pixels = Tensor.allocateFloatBuffer(3 * SIZE * SIZE);
    Image image = reader.acquireNextImage();
    TensorImageUtils.imageYUV420CenterCropToFloatBuffer(
        image,
        90,
        SIZE,
        SIZE,
        TensorImageUtils.TORCHVISION_NORM_MEAN_RGB,
        TensorImageUtils.TORCHVISION_NORM_STD_RGB,
        pixels,
        0);
    image.close();
    Tensor input = Tensor.fromBlob(pixels, new long[] {1, 3, SIZE, SIZE});
    show(module.forward(IValue.from(input)).toTensor());
  }

  private void show(Tensor scores) {
    setTitle(String.valueOf(scores.getDataAsFloatArray()[0]));
  }
}
