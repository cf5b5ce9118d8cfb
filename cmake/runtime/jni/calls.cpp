#include "calls.h"

#include "../cancellation.h"
#include "../gpu.h"
#include "../refusal.h"

#include <c10/util/Exception.h>

#include <new>

namespace torchlite::jni {

Java java;

namespace {

jmethodID find_method(JNIEnv* env, jclass type, const char* name, const char* signature) {
  jmethodID method = env->GetMethodID(type, name, signature);
  check(env);
  return method;
}

jmethodID find_static(JNIEnv* env, jclass type, const char* name, const char* signature) {
  jmethodID method = env->GetStaticMethodID(type, name, signature);
  check(env);
  return method;
}

jfieldID find_field(JNIEnv* env, jclass type, const char* name, const char* signature) {
  jfieldID field = env->GetFieldID(type, name, signature);
  check(env);
  return field;
}

void look_up_exceptions(JNIEnv* env) {
  constexpr const char* takes_text = "(Ljava/lang/String;)V";
  java.cancellation = find_class(env, "java/util/concurrent/CancellationException");
  java.make_cancellation = find_method(env, java.cancellation, "<init>", takes_text);
  java.illegal_argument = find_class(env, "java/lang/IllegalArgumentException");
  java.out_of_memory = find_class(env, "java/lang/OutOfMemoryError");
  java.runtime_exception = find_class(env, "java/lang/RuntimeException");
  java.make_illegal_argument = find_method(env, java.illegal_argument, "<init>", takes_text);
  java.make_out_of_memory = find_method(env, java.out_of_memory, "<init>", takes_text);
  java.make_runtime_exception = find_method(env, java.runtime_exception, "<init>", takes_text);
}

void look_up_strings(JNIEnv* env) {
  java.string = find_class(env, "java/lang/String");
  java.make_string = find_method(env, java.string, "<init>", "([BLjava/lang/String;)V");
  java.string_bytes = find_method(env, java.string, "getBytes", "(Ljava/lang/String;)[B");
  const auto name = checked(env, env->NewStringUTF("UTF-8"));
  java.utf8 = static_cast<jstring>(env->NewGlobalRef(name.get()));
}

void look_up_ivalue(JNIEnv* env) {
  jclass type = java.ivalue = find_class(env, "org/pytorch/IValue");
  java.make_ivalue = find_method(env, type, "<init>", "(ILjava/lang/Object;)V");
  java.make_bool = find_static(env, type, "from", "(Z)Lorg/pytorch/IValue;");
  java.make_long = find_static(env, type, "from", "(J)Lorg/pytorch/IValue;");
  java.make_double = find_static(env, type, "from", "(D)Lorg/pytorch/IValue;");
  java.make_string_dict = find_static(
      env, type, "ofEntries", "([Ljava/lang/String;[Lorg/pytorch/IValue;)Lorg/pytorch/IValue;");
  java.make_long_dict =
      find_static(env, type, "ofEntries", "([J[Lorg/pytorch/IValue;)Lorg/pytorch/IValue;");
  java.type_code = find_field(env, type, "typeCode", "I");
  java.data = find_field(env, type, "data", "Ljava/lang/Object;");
  java.to_bool = find_method(env, type, "toBool", "()Z");
  java.to_long = find_method(env, type, "toLong", "()J");
  java.to_double = find_method(env, type, "toDouble", "()D");
  java.entries = find_method(env, type, "entries", "()[Ljava/lang/Object;");
}

void look_up_tensor(JNIEnv* env) {
  jclass type = java.tensor = find_class(env, "org/pytorch/Tensor");
  java.make_tensor =
      find_static(env, type, "ofNative", "(Ljava/nio/ByteBuffer;[JIIJ)Lorg/pytorch/Tensor;");
  java.raw_buffer = find_method(env, type, "getRawDataBuffer", "()Ljava/nio/Buffer;");
  java.dtype_code = find_method(env, type, "dtypeJniCode", "()I");
  java.memory_format_code = find_method(env, type, "memoryFormatJniCode", "()I");
  java.share_native = find_method(env, type, "shareNative", "()J");
  java.shape = find_field(env, type, "shape", "[J");
}

} // namespace

void look_up(JavaVM* vm, JNIEnv* env) {
  java.vm = vm;
  look_up_exceptions(env);
  look_up_strings(env);
  look_up_ivalue(env);
  look_up_tensor(env);
}

jclass find_class(JNIEnv* env, const char* name) {
  const auto local = checked(env, env->FindClass(name));
  return static_cast<jclass>(env->NewGlobalRef(local.get()));
}

void check(JNIEnv* env) {
  if (env->ExceptionCheck()) {
    throw JavaException();
  }
}

void refuse_null(const void* reference, const char* what) {
  if (reference == nullptr) {
    throw IllegalArgument(std::string(what) + " is null");
  }
}

std::string to_string(JNIEnv* env, jstring text) {
  const auto bytes = checked(
      env, static_cast<jbyteArray>(env->CallObjectMethod(text, java.string_bytes, java.utf8)));
  std::string result(static_cast<size_t>(env->GetArrayLength(bytes.get())), '\0');
  env->GetByteArrayRegion(
      bytes.get(), 0, static_cast<jsize>(result.size()), reinterpret_cast<jbyte*>(result.data()));
  return result;
}

std::string to_path(JNIEnv* env, jstring path) {
  std::string name = to_string(env, path);
  if (name.find('\0') != std::string::npos) {
    throw IllegalArgument("the path has a NUL character");
  }
  return name;
}

Local<jstring> to_java_string(JNIEnv* env, const std::string& text) {
  const auto size = static_cast<jsize>(text.size());
  const auto bytes = checked(env, env->NewByteArray(size));
  env->SetByteArrayRegion(bytes.get(), 0, size, reinterpret_cast<const jbyte*>(text.data()));
  return checked(
      env,
      static_cast<jstring>(env->NewObject(java.string, java.make_string, bytes.get(), java.utf8)));
}

void raise(JNIEnv* env, jclass type, jmethodID constructor, const char* message) noexcept {
  if (env->ExceptionCheck()) {
    return;
  }
  try {
    const auto text = to_java_string(env, message);
    const auto exception =
        checked(env, static_cast<jthrowable>(env->NewObject(type, constructor, text.get())));
    env->Throw(exception.get());
  } catch (const JavaException&) {
    // Java's memory is used up; its own exception says so.
  } catch (const std::bad_alloc&) {
    env->ThrowNew(type, "no native memory left for the message");
  }
}

void raise_current(JNIEnv* env) noexcept {
  wait_for_gpu();
  try {
    try {
      throw;
    } catch (const JavaException&) {
    } catch (const Cancelled& error) {
      raise(env, java.cancellation, java.make_cancellation, error.what());
    } catch (const IllegalArgument& error) {
      raise(env, java.illegal_argument, java.make_illegal_argument, error.what());
    } catch (const std::bad_alloc&) {
      raise(env, java.out_of_memory, java.make_out_of_memory, "no native memory left");
    } catch (const c10::Error& error) {
      raise(env, java.runtime_exception, java.make_runtime_exception, explain(error).c_str());
    } catch (const std::exception& error) {
      raise(env, java.runtime_exception, java.make_runtime_exception, error.what());
    } catch (...) {
      raise(env, java.runtime_exception, java.make_runtime_exception, "unknown native error");
    }
  } catch (const std::exception&) {
    raise(env, java.out_of_memory, java.make_out_of_memory, "no native memory left for the message");
  }
}

} // namespace torchlite::jni
