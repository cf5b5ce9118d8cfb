import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.Arrays;
import org.pytorch.Device;
import org.pytorch.IValue;
import org.pytorch.LiteModuleLoader;
import org.pytorch.Module;
import org.pytorch.PyTorchAndroid;
import org.pytorch.Tensor;

/**
 * Runs a model of one float tensor: MODEL, file of the input's elements, file to write, SIZE... The
 * property {@code device} names the device, {@code pipelines} the file of its pipelines, and {@code
 * loader} the class that loads the model.
 */
public final class RunModel {
  public static void main(String[] arguments) throws Exception {
    byte[] bytes = Files.readAllBytes(Paths.get(arguments[1]));
    FloatBuffer input = Tensor.allocateFloatBuffer(bytes.length / 4);
    input.put(ByteBuffer.wrap(bytes).order(ByteOrder.nativeOrder()).asFloatBuffer());
    String[] sizes = Arrays.copyOfRange(arguments, 3, arguments.length);
    long[] shape = Arrays.stream(sizes).mapToLong(Long::parseLong).toArray();
    IValue argument = IValue.from(Tensor.fromBlob(input, shape));
    PyTorchAndroid.setPipelineCache(System.getProperty("pipelines"));
    // Shrinkers keep no names of constants unless an app asks for it.
    Device device = "VULKAN".equals(System.getProperty("device")) ? Device.VULKAN : Device.CPU;
    boolean lite = System.getProperty("loader", "LiteModuleLoader").equals("LiteModuleLoader");
    Module module =
        lite
            ? LiteModuleLoader.load(arguments[0], null, device)
            : Module.load(arguments[0], null, device);
    IValue result = module.forward(argument);
    float[] elements = result.toTensor().getDataAsFloatArray();
    ByteBuffer out = ByteBuffer.allocate(elements.length * 4).order(ByteOrder.nativeOrder());
    out.asFloatBuffer().put(elements);
    Files.write(Paths.get(arguments[2]), out.array());
  }
}
