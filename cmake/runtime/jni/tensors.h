// Tensors between Java and PyTorch; elements are not copied in either direction.

#pragma once

#include "calls.h"

#include <ATen/core/Tensor.h>

namespace torchlite::jni {

// Returns a tensor over the buffer of an org.pytorch.Tensor, which it keeps alive, also where the app closes the tensor meanwhile.
at::Tensor to_tensor(JNIEnv* env, jobject tensor);

// Returns an org.pytorch.Tensor over the memory of a tensor, which it owns a share of.
Local<jobject> to_java_tensor(JNIEnv* env, const at::Tensor& tensor);

} // namespace torchlite::jni
