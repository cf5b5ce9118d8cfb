package android.content.res;

/** Declares what org.pytorch uses of Android's class; compiled against, never shipped. */
public final class AssetManager {
  AssetManager() {}
}
