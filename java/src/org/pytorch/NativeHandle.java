package org.pytorch;

import java.lang.ref.PhantomReference;
import java.lang.ref.ReferenceQueue;
import java.util.HashSet;
import java.util.Set;

/**
 * A native object that is freed with its Java owner, or earlier when {@link #close} is called.
 *
 * <p>The garbage collector does not see native memory. So where much of it was handed out, and not closed, since it was
 * last asked to run, it is asked again; otherwise an app that makes little else would never be collected. An app that
 * closes what it gets is never stopped for that. Where one has to be asked soon again, it may have more garbage the
 * next time, up to what the heap of Java may have.
 */
final class NativeHandle extends PhantomReference<Object> {
  /** Bytes of native memory that may be handed out before the garbage collector is asked to run. */
  private static final long LEAST_PRESSURE = 64L << 20;

  private static final long MOST_PRESSURE =
      Math.max(LEAST_PRESSURE, Math.min(Runtime.getRuntime().maxMemory(), 512L << 20));

  /** Nanoseconds; a collection of the whole heap takes some hundredths of that. */
  private static final long SOON = 5_000_000_000L;

  private static final ReferenceQueue<Object> QUEUE = new ReferenceQueue<>();
  private static final Set<NativeHandle> ALIVE = new HashSet<>();
  private static long handedOut;
  private static long pressure = LEAST_PRESSURE;
  private static long lastAsked = System.nanoTime();

  private final boolean isTensor;
  private final long bytes;
  private long pointer;

  static {
    new Collector().start();
  }

  private NativeHandle(Object owner, long pointer, long bytes, boolean isTensor) {
    super(owner, QUEUE);
    this.pointer = pointer;
    this.bytes = bytes;
    this.isTensor = isTensor;
    synchronized (ALIVE) {
      ALIVE.add(this);
    }
  }

  static NativeHandle ofModule(Object owner, long pointer) {
    return handOut(new NativeHandle(owner, pointer, sizeOfModule(pointer), false));
  }

  static NativeHandle ofTensor(Object owner, long pointer, long bytes) {
    return handOut(new NativeHandle(owner, pointer, bytes, true));
  }

  private static NativeHandle handOut(NativeHandle handle) {
    if (exceedsPressure(handle.bytes)) {
      System.gc();
    }
    return handle;
  }

  /**
   * Returns the native address.
   *
   * @throws IllegalStateException if the object was freed
   */
  synchronized long address() {
    if (pointer == 0) {
      throw new IllegalStateException(
          isTensor ? "this tensor was closed" : "this module was destroyed");
    }
    return pointer;
  }

  /**
   * Returns the address of one more native tensor over the same memory, which lives as long as any of them.
   *
   * @throws IllegalStateException if the object was freed
   */
  synchronized long share() {
    return shareTensor(address());
  }

  /** Ends the call of a module that runs; one that was freed has none. */
  synchronized void cancel() {
    if (pointer != 0) {
      cancelModule(pointer);
    }
  }

  /** Frees the native object, once. */
  void close() {
    if (free()) {
      synchronized (ALIVE) {
        handedOut = Math.max(0, handedOut - bytes);
      }
    }
  }

  private boolean free() {
    long freed;
    synchronized (this) {
      freed = pointer;
      pointer = 0;
    }
    synchronized (ALIVE) {
      ALIVE.remove(this);
    }
    if (freed == 0) {
      return false;
    }
    if (isTensor) {
      freeTensor(freed);
    } else {
      freeModule(freed);
    }
    return true;
  }

  private static boolean exceedsPressure(long bytes) {
    synchronized (ALIVE) {
      handedOut += bytes;
      if (handedOut < pressure) {
        return false;
      }
      long now = System.nanoTime();
      boolean isSoon = now - lastAsked < SOON;
      pressure = isSoon ? Math.min(2 * pressure, MOST_PRESSURE) : LEAST_PRESSURE;
      lastAsked = now;
      handedOut = 0;
      return true;
    }
  }

  private static native void cancelModule(long pointer);

  private static native void freeModule(long pointer);

  private static native void freeTensor(long pointer);

  private static native long shareTensor(long pointer);

  private static native long sizeOfModule(long pointer);

  /**
   * Frees what has lost its owner, for ever.
   *
   * <p>A class and no lambda: these are invokedynamic in bytecode, which apps' tools before D8 refuse,
   * and later ones where the app does not ask for Java 8.
   */
  private static final class Collector extends Thread {
    Collector() {
      super("pytorch-free");
      setDaemon(true);
    }

    @Override
    public void run() {
      while (true) {
        try {
          ((NativeHandle) QUEUE.remove()).free();
        } catch (InterruptedException ignored) {
          // nobody has a reason to stop this thread
        }
      }
    }
  }
}
