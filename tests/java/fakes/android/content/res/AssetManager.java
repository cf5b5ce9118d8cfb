package android.content.res;

/** Stands in for Android's class. */
public final class AssetManager {}
