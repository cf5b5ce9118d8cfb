package org.pytorch;

import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * A model of the lite interpreter.
 *
 * <p>Calls wait for each other: prepacked operators keep state in the model while they run.
 */
final class LiteNativePeer implements INativePeer {
  /** Bytes that are read from a stream at a time. */
  private static final int PIECE = 1 << 16;

  /** No file is larger; stands for "up to the end". */
  static final long TO_THE_END = Long.MAX_VALUE;

  private final NativeHandle handle;

  private final Map<String, byte[]> extraFiles = new HashMap<>();

  private LiteNativePeer(long pointer) {
    handle = NativeHandle.ofModule(this, pointer);
  }

  static LiteNativePeer ofFile(String path, Map<String, String> extraFiles, Device device) {
    Loading loading = new Loading(extraFiles, device);
    long pointer = load(path, loading.names, loading.contents, loading.device);
    return loading.finish(pointer);
  }

  static LiteNativePeer ofAsset(
      Object assetManager, String assetName, Map<String, String> extraFiles, Device device) {
    Loading loading = new Loading(extraFiles, device);
    long pointer =
        loadAsset(assetManager, assetName, loading.names, loading.contents, loading.device);
    return loading.finish(pointer);
  }

  /** Loads the bytes between the buffer's position and its limit, which stay as they are. */
  static LiteNativePeer ofBuffer(
      ByteBuffer model, Map<String, String> extraFiles, Device device) {
    refuseNull(model, "the buffer of the model");
    ByteBuffer given = model.duplicate();
    if (!given.isDirect()) {
      return ofSource(new OfBuffer(given), extraFiles, device);
    }
    Loading loading = new Loading(extraFiles, device);
    int begin = given.position();
    int end = given.limit();
    return loading.finish(
        loadBuffer(given, begin, end, loading.names, loading.contents, loading.device));
  }

  static LiteNativePeer ofBytes(byte[] model, Map<String, String> extraFiles, Device device) {
    refuseNull(model, "the array of the model");
    return ofSource(new OfBuffer(ByteBuffer.wrap(model)), extraFiles, device);
  }

  static LiteNativePeer ofStream(
      InputStream model, Map<String, String> extraFiles, Device device) {
    refuseNull(model, "the stream of the model");
    return ofSource(new OfStream(model, TO_THE_END), extraFiles, device);
  }

  static LiteNativePeer ofDescriptor(
      FileDescriptor file,
      long offset,
      long length,
      Map<String, String> extraFiles,
      Device device) {
    refuseNull(file, "the file descriptor of the model");
    if (offset < 0 || length < 0) {
      throw new IllegalArgumentException(
          "a model at offset " + offset + ", of " + length + " bytes");
    }
    // It is not closed: the descriptor is the caller's.
    FileInputStream stream = new FileInputStream(file);
    refuseSize(stream.getChannel(), offset, length);
    return ofSource(new OfFile(stream, offset, length), extraFiles, device);
  }

  /** Before some gigabytes are read; what has no size, as a pipe, is refused when it has given too much. */
  private static void refuseSize(FileChannel channel, long offset, long length) {
    long size;
    try {
      size = Math.min(channel.size() - offset, length);
    } catch (IOException error) {
      throw new IllegalArgumentException("the model cannot be read: " + error.getMessage(), error);
    }
    if (size > Integer.MAX_VALUE) {
      throw new IllegalArgumentException("a model of " + size + " bytes; 2 GiB is the most");
    }
  }

  /** Reads into memory of the native side, since the heap of Java is small on phones. */
  private static LiteNativePeer ofSource(
      Source source, Map<String, String> extraFiles, Device device) {
    Loading loading = new Loading(extraFiles, device);
    long bytes = newBytes();
    try {
      byte[] piece = new byte[PIECE];
      for (int count = source.read(piece); count >= 0; count = source.read(piece)) {
        appendBytes(bytes, piece, 0, count);
      }
      return loading.finish(loadBytes(bytes, loading.names, loading.contents, loading.device));
    } catch (IOException error) {
      throw new IllegalArgumentException("the model cannot be read: " + error.getMessage(), error);
    } finally {
      freeBytes(bytes);
    }
  }

  @Override
  public synchronized void resetNative() {
    handle.close();
  }

  @Override
  public IValue forward(IValue... inputs) {
    return runMethod("forward", inputs);
  }

  @Override
  public synchronized IValue runMethod(String methodName, IValue... inputs) {
    return run(handle.address(), methodName, inputs);
  }

  @Override
  public void cancel() {
    handle.cancel();
  }

  @Override
  public synchronized Map<String, String> signatures() {
    String[] told = describeMethods(handle.address());
    Map<String, String> signatures = new LinkedHashMap<>();
    for (int i = 0; i < told.length; i += 2) {
      signatures.put(told[i], told[i + 1]);
    }
    return Collections.unmodifiableMap(signatures);
  }

  @Override
  public byte[] extraFile(String name) {
    byte[] content = extraFiles.get(name);
    return content == null ? null : content.clone();
  }

  private static void refuseNull(Object given, String what) {
    if (given == null) {
      throw new IllegalArgumentException(what + " is null");
    }
  }

  /** What the native side is told of a load. */
  private static final class Loading {
    final String[] names;
    final byte[][] contents;
    final int device;
    private final Map<String, String> extraFiles;

    Loading(Map<String, String> extraFiles, Device device) {
      refuseNull(device, "the device");
      NativeLibrary.load();
      this.extraFiles = extraFiles;
      this.device = device.jniCode;
      names = extraFiles == null ? new String[0] : extraFiles.keySet().toArray(new String[0]);
      contents = new byte[names.length][];
      try {
        // Before the model is loaded, since a large one takes its time.
        for (String name : names) {
          extraFiles.put(name, extraFiles.get(name));
        }
      } catch (UnsupportedOperationException error) {
        throw new IllegalArgumentException(
            "the map of extra files takes no contents; a HashMap does", error);
      }
    }

    LiteNativePeer finish(long pointer) {
      LiteNativePeer peer = new LiteNativePeer(pointer);
      for (int i = 0; i < names.length; i++) {
        extraFiles.put(names[i], new String(contents[i], StandardCharsets.UTF_8));
        peer.extraFiles.put(names[i], contents[i]);
      }
      return peer;
    }
  }

  /** Where the bytes of a model come from. */
  private interface Source {
    /** Fills the array from its begin, and returns how many bytes came; less than 0 at the end. */
    int read(byte[] piece) throws IOException;
  }

  private static final class OfBuffer implements Source {
    private final ByteBuffer buffer;

    OfBuffer(ByteBuffer buffer) {
      this.buffer = buffer;
    }

    @Override
    public int read(byte[] piece) {
      int count = Math.min(piece.length, buffer.remaining());
      buffer.get(piece, 0, count);
      return count == 0 ? -1 : count;
    }
  }

  private static final class OfStream implements Source {
    private final InputStream stream;
    private long left;

    OfStream(InputStream stream, long left) {
      this.stream = stream;
      this.left = left;
    }

    @Override
    public int read(byte[] piece) throws IOException {
      int count = left == 0 ? -1 : stream.read(piece, 0, (int) Math.min(piece.length, left));
      left -= Math.max(count, 0);
      return count;
    }
  }

  /** A part of a file; its position stays where it is. Pipes have none, and are read from their begin. */
  private static final class OfFile implements Source {
    private final FileChannel channel;
    private final OfStream stream;
    private final boolean isWhole;
    private final boolean isOpenEnded;
    private long at;
    private long left;
    private boolean isPipe;

    OfFile(FileInputStream stream, long offset, long length) {
      channel = stream.getChannel();
      this.stream = new OfStream(stream, length);
      isWhole = offset == 0;
      isOpenEnded = length == TO_THE_END;
      at = offset;
      left = length;
    }

    @Override
    public int read(byte[] piece) throws IOException {
      if (isPipe) {
        return stream.read(piece);
      }
      if (left == 0) {
        return -1;
      }
      int count;
      try {
        count = channel.read(ByteBuffer.wrap(piece, 0, (int) Math.min(piece.length, left)), at);
      } catch (IOException error) {
        if (!isWhole || at > 0) {
          throw error;
        }
        isPipe = true;
        return stream.read(piece);
      }
      if (count < 0 && !isOpenEnded) {
        throw new IOException("the file ends " + left + " bytes too early");
      }
      at += Math.max(count, 0);
      left -= Math.max(count, 0);
      return count;
    }
  }

  private static native long load(String path, String[] names, byte[][] contents, int device);

  private static native long loadAsset(
      Object assetManager, String assetName, String[] names, byte[][] contents, int device);

  private static native long loadBuffer(
      ByteBuffer model, int begin, int end, String[] names, byte[][] contents, int device);

  private static native long loadBytes(long bytes, String[] names, byte[][] contents, int device);

  private static native long newBytes();

  private static native void appendBytes(long bytes, byte[] piece, int begin, int count);

  private static native void freeBytes(long bytes);

  private static native IValue run(long module, String method, IValue[] inputs);

  private static native String[] describeMethods(long module);
}
