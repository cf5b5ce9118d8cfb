package org.pytorch;

/** Where a model runs. */
public enum Device {
  /** The CPU. */
  CPU(1),
  /** The GPU, through Vulkan; models are refused where the library or the device lacks it. */
  VULKAN(2);

  /** What the native side knows it by (cmake/runtime/jni/modules.cpp). */
  final int jniCode;

  Device(int jniCode) {
    this.jniCode = jniCode;
  }
}
