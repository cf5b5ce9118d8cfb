import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertNotNull;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.lang.ref.WeakReference;
import java.nio.Buffer;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.DoubleBuffer;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import java.nio.LongBuffer;
import java.nio.ShortBuffer;
import java.util.Collections;
import java.util.concurrent.CancellationException;
import java.util.concurrent.Executors;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.junit.Test;
import org.pytorch.IValue;
import org.pytorch.Module;
import org.pytorch.PyTorchAndroid;
import org.pytorch.Tensor;

/** What ends before the garbage collector ends it: modules, results, calls. */
public class ClosingTest {
  private static final int LARGE = 6_000_000; // floats, so 24 MB

  @Test
  public void modulesEndWithTheirBlock() {
    Module kept;
    IValue input = IValue.from(ValuesTest.tensor(1, 2, 3));
    try (Module module = ValuesTest.load()) {
      kept = module;
      module.forward(input).close();
    }
    assertThrows(IllegalStateException.class, () -> kept.forward(input));
    assertThrows(IllegalStateException.class, kept::signatures);
    kept.close();
    kept.cancel();
  }

  @Test
  public void closedResultsAreNotRead() {
    try (Module module = ValuesTest.load()) {
      Tensor given = ValuesTest.tensor(1, 2, 3);
      IValue result = module.forward(IValue.from(given));
      Tensor tensor = result.toTensor();
      result.close();
      result.close();
      IllegalStateException closed =
          assertThrows(IllegalStateException.class, tensor::getDataAsFloatArray);
      assertEquals("this tensor was closed", closed.getMessage());
      assertThrows(IllegalStateException.class, () -> tensor.copyTo(FloatBuffer.allocate(6)));
      assertThrows(IllegalStateException.class, () -> module.runMethod("same", result));
      assertEquals("Tensor([2, 3], dtype=torch.float32)", tensor.toString());
      given.close(); // memory of the app's
      assertArrayEquals(new float[] {1, 2, 3}, given.getDataAsFloatArray(), 0);
    }
  }

  @Test
  public void aCollectionIsClosedWithAllInIt() {
    try (Module module = ValuesTest.load()) {
      IValue pair = IValue.tupleFrom(IValue.from(7L), IValue.from(ValuesTest.tensor(1, 2)));
      IValue map =
          IValue.dictStringKeyFrom(Collections.singletonMap("key", IValue.listFrom(pair)));
      IValue back = module.runMethod("nested", map);
      Tensor inside = back.toDictStringKey().get("key").toList()[0].toTuple()[1].toTensor();
      back.close();
      assertThrows(IllegalStateException.class, inside::getDataAsFloatArray);
      IValue tensors = module.runMethod("tensors", IValue.listFrom(ValuesTest.tensor(1)));
      tensors.close();
      assertThrows(
          IllegalStateException.class, () -> tensors.toTensorList()[0].getDataAsFloatArray());
      IValue.listFrom((Tensor) null).close();
      IValue.optionalNull().close();
      IValue.from("text").close();
    }
  }

  @Test
  public void aResultThatIsClosedWhileAModelReadsItLastsSoLong() throws Exception {
    ExecutorService other = Executors.newSingleThreadExecutor();
    try (Module module = ValuesTest.load()) {
      for (int i = 0; i < 300; i++) {
        IValue zeros = module.runMethod("zeros", IValue.from(30_000L));
        Future<?> closing = other.submit(zeros::close);
        try {
          for (IValue back : new IValue[] {module.runMethod("same", zeros)}) {
            assertEquals(0, back.toTensor().getDataAsFloatArray()[29_999], 0);
            back.close();
          }
        } catch (IllegalStateException closed) {
          assertEquals("this tensor was closed", closed.getMessage());
        }
        closing.get();
      }
    } finally {
      other.shutdown();
    }
  }

  @Test
  public void elementsGoToABufferOfTheCallers() {
    FloatBuffer out = FloatBuffer.allocate(8);
    out.put(9).limit(7);
    try (Module module = ValuesTest.load()) {
      IValue result = module.forward(IValue.from(ValuesTest.tensor(1, 2, 3)));
      result.toTensor().copyTo(out);
      assertEquals(7, out.position());
      assertArrayEquals(new float[] {9, 2, 5, 8, 5, 8, 11, 0}, out.array(), 0);
      ByteBuffer swapped = ByteBuffer.allocateDirect(24).order(ByteOrder.BIG_ENDIAN);
      result.toTensor().copyTo(swapped.asFloatBuffer());
      assertEquals(5, swapped.getFloat(4), 0);
      FloatBuffer[] wrong = {null, FloatBuffer.allocate(5), FloatBuffer.allocate(6).asReadOnlyBuffer()};
      for (FloatBuffer buffer : wrong) {
        assertThrows(IllegalArgumentException.class, () -> result.toTensor().copyTo(buffer));
      }
      assertThrows(
          IllegalArgumentException.class, () -> result.toTensor().copyTo(ByteBuffer.allocate(24)));
    }
    long[] two = {2};
    copied(Tensor.fromBlob(new byte[2], two), ByteBuffer.allocate(2));
    copied(Tensor.fromBlobUnsigned(new byte[2], two), ByteBuffer.allocate(2));
    copied(Tensor.fromBlob(new boolean[2], two), ByteBuffer.allocate(2));
    copied(Tensor.fromBlob(new int[2], two), IntBuffer.allocate(2));
    copied(Tensor.fromBlob(new long[2], two), LongBuffer.allocate(2));
    copied(Tensor.fromBlob(new double[2], two), DoubleBuffer.allocate(2));
    copied(Tensor.fromBlobHalf(new short[2], two), ShortBuffer.allocate(2));
  }

  private static void copied(Tensor tensor, Buffer out) {
    tensor.copyTo(out);
    assertEquals(2, out.position());
  }

  @Test
  public void whoClosesLargeResultsIsNotStoppedByTheCollector() {
    try (Module module = ValuesTest.load()) {
      IValue count = IValue.from((long) LARGE);
      WeakReference<Object> first = new WeakReference<>(new Object());
      for (int i = 0; i < 30 && first.get() != null; i++) {
        module.runMethod("zeros", count);
      }
      assertNull("the collector is asked where results are not closed", first.get());
      WeakReference<Object> second = new WeakReference<>(new Object());
      for (int i = 0; i < 30; i++) {
        module.runMethod("zeros", count).close();
      }
      assertNotNull("the collector was asked to run", second.get());
    }
  }

  @Test
  public void aCallIsCancelledByAnotherThread() throws Exception {
    ExecutorService other = Executors.newSingleThreadExecutor();
    try (Module module = ValuesTest.load()) {
      module.cancel(); // nothing runs
      for (int round = 0; round < 3; round++) {
        Future<IValue> endless =
            other.submit(() -> module.runMethod("count", IValue.from(Long.MAX_VALUE)));
        Throwable end = null;
        while (end == null) {
          module.cancel();
          try {
            endless.get(1, TimeUnit.MILLISECONDS);
          } catch (TimeoutException running) {
            continue;
          } catch (java.util.concurrent.ExecutionException ended) {
            end = ended.getCause();
          }
        }
        assertTrue(String.valueOf(end), end instanceof CancellationException);
        assertEquals(45, module.runMethod("count", IValue.from(10L)).toLong());
      }
    } finally {
      other.shutdown();
    }
  }

  @Test
  public void aLimitOfStepsEndsEndlessCalls() {
    try (Module module = ValuesTest.load()) {
      PyTorchAndroid.setStepLimit(100_000);
      IValue endless = IValue.from(Long.MAX_VALUE);
      RuntimeException ended =
          assertThrows(RuntimeException.class, () -> module.runMethod("count", endless));
      assertTrue(ended.getMessage(), ended.getMessage().contains("100000 instructions"));
    } finally {
      PyTorchAndroid.setStepLimit(0);
    }
  }
}
