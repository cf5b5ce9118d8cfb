import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import org.junit.Test;
import org.junit.function.ThrowingRunnable;
import org.pytorch.Device;
import org.pytorch.Module;

/** Models from memory, streams and files that are open, and what is wrong with some. */
public class LoadingTest {
  private static final Path FILE = Paths.get(System.getProperty("models"), "values.ptl");
  private final byte[] bytes = read();

  private static byte[] read() {
    try {
      return Files.readAllBytes(FILE);
    } catch (IOException error) {
      throw new IllegalStateException(error);
    }
  }

  private static void check(Module module) {
    float[] weights = module.runMethod("weights").toTensor().getDataAsFloatArray();
    assertArrayEquals(new float[] {0, 1, 2, 3, 4, 5}, weights, 0);
    module.close();
  }

  /** The model after three other bytes, and before two. */
  private ByteBuffer surrounded(ByteBuffer buffer) {
    buffer.put(new byte[3]).put(bytes).put(new byte[2]);
    buffer.position(3).limit(3 + bytes.length);
    return buffer;
  }

  @Test
  public void arraysAndBuffersOfEachKind() {
    check(Module.load(bytes));
    int size = bytes.length + 5;
    ByteBuffer direct = surrounded(ByteBuffer.allocateDirect(size));
    ByteBuffer heap = surrounded(ByteBuffer.allocate(size));
    ByteBuffer[] buffers = {direct, heap, direct.slice(), heap.slice(), heap.asReadOnlyBuffer()};
    for (ByteBuffer buffer : buffers) {
      int position = buffer.position();
      check(Module.load(buffer));
      assertEquals(position, buffer.position());
      assertEquals(bytes.length, buffer.remaining());
    }
  }

  @Test
  public void extraFilesComeFromMemoryToo() {
    Map<String, String> files = new HashMap<>();
    files.put("labels.txt", null);
    Module module = Module.load(new ByteArrayInputStream(bytes), files, Device.CPU);
    check(module);
    assertTrue(files.get("labels.txt").startsWith("Käse"));
    assertEquals('K', module.extraFile("labels.txt")[0]);
  }

  @Test
  public void streamsThatGiveLittleAtATime() {
    InputStream slow =
        new ByteArrayInputStream(bytes) {
          @Override
          public synchronized int read(byte[] to, int offset, int count) {
            return super.read(to, offset, Math.min(count, 7));
          }
        };
    check(Module.load(slow));
  }

  @Test
  public void streamsThatFailSayWhy() {
    InputStream failing =
        new InputStream() {
          @Override
          public int read() throws IOException {
            throw new IOException("the network is gone");
          }
        };
    refuse("the network is gone", () -> Module.load(failing));
  }

  @Test
  public void partsOfFilesThatAreOpen() throws IOException {
    Path file = Files.createTempFile("surrounded", ".bin");
    ByteBuffer whole = surrounded(ByteBuffer.allocate(bytes.length + 5));
    Files.write(file, whole.array());
    try (RandomAccessFile open = new RandomAccessFile(file.toFile(), "r")) {
      open.seek(2);
      check(Module.load(open.getFD(), 3, bytes.length));
      assertEquals(2, open.getFilePointer());
      check(Module.load(open.getFD(), 3, bytes.length)); // it was not closed
      refuse("1 bytes too early", () -> Module.load(open.getFD(), 5, bytes.length + 1));
      refuse("", () -> Module.load(open.getFD(), 1L << 60, 5));
      refuse("offset -1", () -> Module.load(open.getFD(), -1, 5));
      refuse("of -1 bytes", () -> Module.load(open.getFD(), 0, -1));
      refuse("", () -> Module.load(open.getFD()));
    }
    try (FileInputStream open = new FileInputStream(FILE.toFile())) {
      check(Module.load(open.getFD()));
    }
    Files.delete(file);
  }

  @Test
  public void pipes() throws Exception {
    Path pipe = Files.createTempDirectory("pipes").resolve("pipe");
    assertEquals(0, new ProcessBuilder("mkfifo", pipe.toString()).start().waitFor());
    String[] command = {"sh", "-c", "cat \"$1\" > \"$2\"", "sh", FILE.toString(), pipe.toString()};
    Process writer = new ProcessBuilder(command).start();
    try (FileInputStream reader = new FileInputStream(pipe.toFile())) {
      check(Module.load(reader.getFD()));
    }
    assertEquals(0, writer.waitFor());
  }

  @Test
  public void descriptorsThatCannotBeRead() throws IOException {
    Path file = Files.createTempFile("written", ".ptl");
    try (FileOutputStream open = new FileOutputStream(file.toFile())) {
      open.write(bytes);
      refuse("cannot be read", () -> Module.load(open.getFD()));
    }
    RandomAccessFile closed = new RandomAccessFile(file.toFile(), "r");
    FileDescriptor descriptor = closed.getFD();
    closed.close();
    refuse("cannot be read", () -> Module.load(descriptor));
    try (RandomAccessFile huge = new RandomAccessFile(file.toFile(), "rw")) {
      huge.setLength(3L << 30); // of zeros, which take no place
      refuse("2 GiB is the most", () -> Module.load(huge.getFD()));
    }
    Files.delete(file);
  }

  @Test
  public void modelsThatEndEarlyOrAreNone() {
    for (int size : new int[] {0, 1, 7, 8, 100, bytes.length / 2, bytes.length - 1}) {
      byte[] cut = Arrays.copyOf(bytes, size);
      refuse("", () -> Module.load(cut));
      refuse("", () -> Module.load(new ByteArrayInputStream(cut)));
      ByteBuffer direct = ByteBuffer.allocateDirect(size);
      direct.put(cut).flip();
      refuse("", () -> Module.load(direct));
    }
    refuse("neither kind of file", () -> Module.load(new byte[1 << 20]));
    byte[] damaged = bytes.clone();
    damaged[damaged.length / 2] ^= 1;
    refuse("", () -> Module.load(damaged));
  }

  @Test
  public void nothingIsNoModel() {
    refuse("null", () -> Module.load((byte[]) null));
    refuse("null", () -> Module.load((ByteBuffer) null));
    refuse("null", () -> Module.load((InputStream) null));
    refuse("null", () -> Module.load((FileDescriptor) null));
    refuse("null", () -> Module.load(bytes, null, null));
  }

  private static void refuse(String reason, ThrowingRunnable call) {
    RuntimeException refusal = assertThrows(RuntimeException.class, call);
    assertTrue(String.valueOf(refusal), refusal.getMessage().contains(reason));
  }
}
