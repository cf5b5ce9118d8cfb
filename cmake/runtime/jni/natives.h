// The native methods of the Java classes.

#pragma once

#include <jni.h>

namespace torchlite::jni {

// Throws JavaException.
void register_modules(JNIEnv* env);

// Does nothing where the app has no org.pytorch.torchvision.TensorImageUtils.
void register_images(JNIEnv* env);

} // namespace torchlite::jni
