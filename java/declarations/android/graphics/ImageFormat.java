package android.graphics;

/** Declares what org.pytorch uses of Android's class; compiled against, never shipped. */
public class ImageFormat {
  public static final int YUV_420_888 = 0x23;
}
