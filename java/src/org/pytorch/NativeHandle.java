package org.pytorch;

import java.lang.ref.PhantomReference;
import java.lang.ref.ReferenceQueue;
import java.util.HashSet;
import java.util.Set;

/**
 * A native object that is freed with its Java owner, or earlier when {@link #close} is called.
 *
 * <p>The garbage collector does not see native memory. So where much of it was handed out since it
 * last ran, it is asked to run; otherwise an app that makes little else would never be collected.
 */
final class NativeHandle extends PhantomReference<Object> {
  /** Bytes of native memory that may be handed out before the garbage collector is asked to run. */
  private static final long PRESSURE = 64L << 20;

  private static final ReferenceQueue<Object> QUEUE = new ReferenceQueue<>();
  private static final Set<NativeHandle> ALIVE = new HashSet<>();
  private static long handedOut;

  private final boolean isTensor;
  private long pointer;

  static {
    new Collector().start();
  }

  private NativeHandle(Object owner, long pointer, boolean isTensor) {
    super(owner, QUEUE);
    this.pointer = pointer;
    this.isTensor = isTensor;
    synchronized (ALIVE) {
      ALIVE.add(this);
    }
  }

  static NativeHandle ofModule(Object owner, long pointer) {
    return new NativeHandle(owner, pointer, false);
  }

  static NativeHandle ofTensor(Object owner, long pointer, long bytes) {
    NativeHandle handle = new NativeHandle(owner, pointer, true);
    if (exceedsPressure(bytes)) {
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
      throw new IllegalStateException("this module was destroyed");
    }
    return pointer;
  }

  /** Frees the native object, once. */
  void close() {
    long freed;
    synchronized (this) {
      freed = pointer;
      pointer = 0;
    }
    synchronized (ALIVE) {
      ALIVE.remove(this);
    }
    if (freed == 0) {
      return;
    }
    if (isTensor) {
      freeTensor(freed);
    } else {
      freeModule(freed);
    }
  }

  private static boolean exceedsPressure(long bytes) {
    synchronized (ALIVE) {
      handedOut += bytes;
      if (handedOut < PRESSURE) {
        return false;
      }
      handedOut = 0;
      return true;
    }
  }

  private static native void freeModule(long pointer);

  private static native void freeTensor(long pointer);

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
          ((NativeHandle) QUEUE.remove()).close();
        } catch (InterruptedException ignored) {
          // nobody has a reason to stop this thread
        }
      }
    }
  }
}
