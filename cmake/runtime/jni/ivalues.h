// Values between Java and PyTorch.

#pragma once

#include "../any_value.h"
#include "calls.h"

#include <vector>

namespace torchlite::jni {

// Returns the values of an array of org.pytorch.IValue, as arguments of a method without self.
std::vector<AnyValue> to_arguments(JNIEnv* env, jobjectArray values, const Method& method);

// Returns an org.pytorch.IValue.
Local<jobject> to_java_value(JNIEnv* env, const AnyValue& value);

} // namespace torchlite::jni
