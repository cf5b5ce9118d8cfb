package android.media;

import java.nio.ByteBuffer;

/** Declares what org.pytorch uses of Android's class; compiled against, never shipped. */
public abstract class Image {
  Image() {}

  public abstract int getFormat();

  public abstract int getWidth();

  public abstract int getHeight();

  public abstract Plane[] getPlanes();

  public abstract static class Plane {
    Plane() {}

    public abstract int getRowStride();

    public abstract int getPixelStride();

    public abstract ByteBuffer getBuffer();
  }
}
