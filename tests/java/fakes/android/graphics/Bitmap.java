package android.graphics;

/** Stands in for Android's class: pixels in an array. */
public final class Bitmap {
  private final int[] pixels;
  private final int width;

  public Bitmap(int[] pixels, int width) {
    this.pixels = pixels;
    this.width = width;
  }

  public int getWidth() {
    return width;
  }

  public int getHeight() {
    return pixels.length / width;
  }

  public void getPixels(int[] out, int offset, int stride, int x, int y, int wide, int high) {
    for (int row = 0; row < high; row++) {
      System.arraycopy(pixels, (y + row) * width + x, out, offset + row * stride, wide);
    }
  }
}
