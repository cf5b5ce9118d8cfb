import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import org.junit.Test;
import org.junit.function.ThrowingRunnable;
import org.pytorch.DType;
import org.pytorch.MemoryFormat;
import org.pytorch.Tensor;

/** What tensors hold and refuse; needs no native library. */
public class TensorTest {
  @Test
  public void arraysAreCopied() {
    float[] elements = {1, 2};
    Tensor tensor = Tensor.fromBlob(elements, new long[] {2});
    elements[0] = 9;
    assertArrayEquals(new float[] {1, 2}, tensor.getDataAsFloatArray(), 0);
    tensor.shape()[0] = 9;
    assertArrayEquals(new long[] {2}, tensor.shape());
  }

  @Test
  public void readingLeavesTheBuffersPositionAlone() {
    FloatBuffer buffer = Tensor.allocateFloatBuffer(3);
    buffer.put(1).put(2).put(3).position(1);
    Tensor tensor = Tensor.fromBlob(buffer, new long[] {3});
    assertArrayEquals(new float[] {1, 2, 3}, tensor.getDataAsFloatArray(), 0);
    assertEquals(1, buffer.position());
  }

  @Test
  public void buffersOfMoreBytesThanAnIntCountsAreRefused() {
    assertThrows(ArithmeticException.class, () -> Tensor.allocateFloatBuffer(1 << 29));
    assertThrows(ArithmeticException.class, () -> Tensor.allocateDoubleBuffer(1 << 28));
  }

  @Test
  public void tensorsSayWhatTheyAre() {
    Tensor tensor =
        Tensor.fromBlob(new long[6], new long[] {1, 6, 1, 1}, MemoryFormat.CHANNELS_LAST);
    assertEquals(DType.INT64, tensor.dtype());
    assertEquals(MemoryFormat.CHANNELS_LAST, tensor.memoryFormat());
    assertEquals(6, tensor.numel());
    assertEquals("Tensor([1, 6, 1, 1], dtype=torch.int64)", tensor.toString());
    assertEquals(1, Tensor.numel(new long[0]));
    IllegalStateException wrong =
        assertThrows(IllegalStateException.class, tensor::getDataAsFloatArray);
    assertTrue(wrong.getMessage(), wrong.getMessage().contains("int64"));
  }

  @Test
  public void whatIsNoTensorIsRefused() {
    long[] two = {2};
    assertRefused("null", () -> Tensor.fromBlob((float[]) null, two));
    assertRefused("null", () -> Tensor.fromBlob((FloatBuffer) null, two));
    assertRefused("null", () -> Tensor.fromBlob(new float[2], null));
    assertRefused("null", () -> Tensor.fromBlob(new float[2], two, null));
    assertRefused("negative", () -> Tensor.fromBlob(new float[2], new long[] {-2}));
    assertRefused("3 elements", () -> Tensor.fromBlob(new float[2], new long[] {3}));
    assertRefused("direct", () -> Tensor.fromBlob(FloatBuffer.allocate(2), two));
    assertRefused("too large", () -> Tensor.numel(new long[] {1L << 40, 1L << 40}));
    ByteOrder other =
        ByteOrder.nativeOrder() == ByteOrder.BIG_ENDIAN
            ? ByteOrder.LITTLE_ENDIAN
            : ByteOrder.BIG_ENDIAN;
    FloatBuffer swapped = ByteBuffer.allocateDirect(8).order(other).asFloatBuffer();
    assertRefused("byte order", () -> Tensor.fromBlob(swapped, two));
  }

  private static void assertRefused(String reason, ThrowingRunnable call) {
    IllegalArgumentException refusal = assertThrows(IllegalArgumentException.class, call);
    assertTrue(refusal.getMessage(), refusal.getMessage().contains(reason));
  }
}
