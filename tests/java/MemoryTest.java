import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.io.IOException;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.Test;
import org.pytorch.IValue;
import org.pytorch.Module;
import org.pytorch.PyTorchAndroid;
import org.pytorch.Tensor;

/** Who owns memory, for how long, and that it is given back. */
public class MemoryTest {
  private static final int CALLS = 10_000;
  private static final long MIB = 1L << 20;
  private static final int PATIENCE = 100;

  @Test
  public void inputsAreReadWhereTheyAreAndResultsAreTheAppsOwn() {
    Module module = ValuesTest.load();
    FloatBuffer buffer = Tensor.allocateFloatBuffer(2);
    Tensor given = Tensor.fromBlob(buffer, new long[] {2});
    Tensor back = module.runMethod("same", IValue.from(given)).toTensor();
    buffer.put(0, 5).put(1, 6);
    assertArrayEquals(new float[] {0, 0}, back.getDataAsFloatArray(), 0);
    Tensor later = module.runMethod("same", IValue.from(given)).toTensor();
    assertArrayEquals(new float[] {5, 6}, later.getDataAsFloatArray(), 0);
    Tensor weights = module.runMethod("weights").toTensor();
    Tensor again = module.runMethod("same", IValue.from(weights)).toTensor();
    assertArrayEquals(new float[] {0, 1, 2, 3, 4, 5}, again.getDataAsFloatArray(), 0);
  }

  @Test
  public void resultsOutliveModulesAndInputs() throws InterruptedException {
    Module module = ValuesTest.load();
    Tensor weights = module.runMethod("weights").toTensor();
    Tensor same = module.runMethod("same", IValue.from(ValuesTest.tensor(1, 2, 3))).toTensor();
    module.destroy();
    for (int i = 0; i < 5; i++) {
      System.gc();
      Thread.sleep(20);
      Tensor.allocateFloatBuffer(1 << 16);
    }
    assertArrayEquals(new float[] {0, 1, 2, 3, 4, 5}, weights.getDataAsFloatArray(), 0);
    assertArrayEquals(new float[] {1, 2, 3}, same.getDataAsFloatArray(), 0);
  }

  @Test
  public void destroyedTwiceAndUsedAfterwards() {
    Module module = ValuesTest.load();
    module.destroy();
    module.destroy();
    IValue input = IValue.from(ValuesTest.tensor(1, 2, 3));
    assertThrows(IllegalStateException.class, () -> module.forward(input));
    assertThrows(IllegalStateException.class, () -> module.runMethod("weights"));
  }

  @Test
  public void severalThreadsCallOneModule() throws Exception {
    PyTorchAndroid.setSpinning(false);
    Module module = ValuesTest.load();
    PyTorchAndroid.setNumThreads(2);
    List<Callable<Void>> tasks = new ArrayList<>();
    for (int t = 0; t < 4; t++) {
      float seed = t;
      tasks.add(
          () -> {
            for (int i = 0; i < 500; i++) {
              Tensor input = ValuesTest.tensor(seed, i, 1);
              float[] sums = module.forward(IValue.from(input)).toTensor().getDataAsFloatArray();
              assertArrayEquals(
                  new float[] {2 * seed, 2 * i + 1, 4, 2 * seed + 3, 2 * i + 4, 7}, sums, 0);
            }
            return null;
          });
    }
    runAll(tasks);
  }

  @Test
  public void oneThreadDestroysWhatOthersCall() throws Exception {
    for (int round = 0; round < 20; round++) {
      Module module = ValuesTest.load();
      IValue input = IValue.from(ValuesTest.tensor(1, 2, 3));
      Callable<Void> caller =
          () -> {
            try {
              for (int i = 0; i < 10_000; i++) {
                module.forward(input);
              }
            } catch (IllegalStateException destroyed) {
              assertEquals("this module was destroyed", destroyed.getMessage());
            }
            return null;
          };
      Callable<Void> destroyer =
          () -> {
            Thread.sleep(2);
            module.destroy();
            return null;
          };
      List<Callable<Void>> tasks = new ArrayList<>(Collections.nCopies(2, caller));
      tasks.add(destroyer);
      runAll(tasks);
    }
  }

  private static void runAll(List<Callable<Void>> tasks) throws Exception {
    ExecutorService pool = Executors.newFixedThreadPool(tasks.size());
    try {
      for (Future<Void> done : pool.invokeAll(tasks)) {
        done.get();
      }
    } finally {
      pool.shutdown();
    }
  }

  @Test
  public void tenThousandForwardCallsLeaveNothingBehind() throws Exception {
    Module module = ValuesTest.load();
    IValue input = IValue.from(ValuesTest.tensor(1, 2, 3));
    assertNoGrowth(16 * MIB, () -> module.forward(input));
  }

  @Test
  public void largeResultsAreFreedWithoutTheAppsHelp() throws Exception {
    Module module = ValuesTest.load();
    IValue count = IValue.from(250_000L); // 1 MB; ten thousand are 10 GB
    assertNoGrowth(256 * MIB, () -> module.runMethod("zeros", count));
  }

  @Test
  public void valuesAndExceptionsLeaveNothingBehind() throws Exception {
    Module module = ValuesTest.load();
    IValue pair = IValue.tupleFrom(IValue.from(7L), IValue.from(ValuesTest.tensor(1, 2)));
    Map<String, IValue> map = new HashMap<>();
    map.put("a key of some length, so that a leak would show", IValue.listFrom(pair, pair));
    IValue nested = IValue.dictStringKeyFrom(map);
    assertNoGrowth(16 * MIB, () -> module.runMethod("nested", nested));
    assertNoGrowth(
        16 * MIB,
        () -> assertThrows(RuntimeException.class, () -> module.runMethod("fail", IValue.from(""))));
  }

  @Test
  public void loadedModelsAreFreed() throws Exception {
    for (int i = 0; i < 50; i++) {
      ValuesTest.load();
    }
    long before = residentBytes();
    for (int i = 0; i < 500; i++) {
      ValuesTest.load().destroy();
    }
    refuseGrowth(before, 32 * MIB);
  }

  @Test
  public void modelsThatNobodyDestroysAreSeenByTheCollector() throws Exception {
    String path = System.getProperty("models") + "/classifier.ptl"; // of 14 MB
    for (int i = 0; i < 5; i++) {
      Module.load(path);
    }
    long before = residentBytes();
    for (int i = 0; i < 40; i++) {
      Module.load(path);
    }
    long grown = 0;
    for (String line : Files.readAllLines(Paths.get("/proc/self/status"))) {
      if (line.startsWith("VmHWM:")) { // the most that there ever was
        grown = (Long.parseLong(line.replaceAll("\\D", "")) << 10) - before;
      }
    }
    assertTrue("the process grew by " + grown / MIB + " MiB", grown < 450 * MIB);
  }

  private static void assertNoGrowth(long bound, Runnable call) throws Exception {
    for (int i = 0; i < CALLS / 4; i++) {
      call.run();
    }
    long before = residentBytes();
    for (int i = 0; i < CALLS; i++) {
      call.run();
    }
    refuseGrowth(before, bound);
  }

  /** A busy machine frees later, so it has many chances. */
  private static void refuseGrowth(long before, long bound) throws Exception {
    long grown = residentBytes() - before;
    for (int i = 0; i < PATIENCE && grown >= bound; i++) {
      grown = residentBytes() - before;
    }
    assertTrue("the process grew by " + grown / MIB + " MiB", grown < bound);
  }

  /** Of this process (proc(5), VmRSS). */
  private static long residentBytes() throws IOException, InterruptedException {
    System.gc();
    Thread.sleep(200); // for the thread that frees native memory
    for (String line : Files.readAllLines(Paths.get("/proc/self/status"))) {
      if (line.startsWith("VmRSS:")) {
        return Long.parseLong(line.replaceAll("\\D", "")) << 10;
      }
    }
    throw new IllegalStateException("no VmRSS");
  }
}
