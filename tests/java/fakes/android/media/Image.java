package android.media;

import java.nio.ByteBuffer;

/** Stands in for Android's class: three planes in direct buffers, with strides as cameras have. */
public class Image {
  private final int format;
  private final int width;
  private final int height;
  private final Plane[] planes;

  public Image(int format, int width, int height, Plane... planes) {
    this.format = format;
    this.width = width;
    this.height = height;
    this.planes = planes;
  }

  public int getFormat() {
    return format;
  }

  public int getWidth() {
    return width;
  }

  public int getHeight() {
    return height;
  }

  public Plane[] getPlanes() {
    return planes;
  }

  public static class Plane {
    private final ByteBuffer buffer;
    private final int rowStride;
    private final int pixelStride;

    public Plane(ByteBuffer buffer, int rowStride, int pixelStride) {
      this.buffer = buffer;
      this.rowStride = rowStride;
      this.pixelStride = pixelStride;
    }

    public ByteBuffer getBuffer() {
      return buffer;
    }

    public int getRowStride() {
      return rowStride;
    }

    public int getPixelStride() {
      return pixelStride;
    }
  }
}
