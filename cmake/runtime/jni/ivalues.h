// Values between Java and PyTorch.

#pragma once

#include "../lite_module.h"
#include "calls.h"

#include <ATen/core/ivalue.h>

#include <vector>

namespace torchlite::jni {

// Returns the values of an array of org.pytorch.IValue, as arguments of a method without self.
std::vector<c10::IValue> to_arguments(JNIEnv* env, jobjectArray values, const Method& method);

// Returns an org.pytorch.IValue.
Local<jobject> to_java_value(JNIEnv* env, const c10::IValue& value);

} // namespace torchlite::jni
