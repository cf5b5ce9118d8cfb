package android.graphics;

/** Declares what org.pytorch uses of Android's class; compiled against, never shipped. */
public final class Bitmap {
  Bitmap() {}

  public native int getWidth();

  public native int getHeight();

  public native void getPixels(
      int[] pixels, int offset, int stride, int x, int y, int width, int height);
}
