// Values between Java and PyTorch.

#pragma once

#include "calls.h"

#include <ATen/core/ivalue.h>

#include <vector>

namespace torchlite::jni {

// Returns the values of an array of org.pytorch.IValue.
std::vector<c10::IValue> to_ivalues(JNIEnv* env, jobjectArray values);

// Returns an org.pytorch.IValue.
Local<jobject> to_java_value(JNIEnv* env, const c10::IValue& value);

} // namespace torchlite::jni
