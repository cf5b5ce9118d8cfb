// Calls into Java: references that are released, exceptions both ways, the classes that are known.

#pragma once

#include <jni.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>

namespace torchlite::jni {

// Thrown when a Java exception is pending; it stays pending while C++ unwinds.
struct JavaException {};

// Becomes java.lang.IllegalArgumentException.
class IllegalArgument : public std::invalid_argument {
  using std::invalid_argument::invalid_argument;
};

// A local reference, released when it goes out of scope: loops do not fill the reference table.
template <typename T>
class Local {
 public:
  Local(JNIEnv* env, T object) : env_(env), object_(object) {}
  Local(Local&& other) noexcept : env_(other.env_), object_(other.release()) {}
  Local(const Local&) = delete;
  Local& operator=(const Local&) = delete;
  Local& operator=(Local&&) = delete;
  ~Local() {
    if (object_ != nullptr) {
      env_->DeleteLocalRef(object_);
    }
  }

  T get() const {
    return object_;
  }

  T release() {
    return std::exchange(object_, nullptr);
  }

 private:
  JNIEnv* env_;
  T object_;
};

// What the entry points look up once; all classes are global references.
struct Java {
  JavaVM* vm;
  jclass cancellation;
  jclass illegal_argument;
  jclass out_of_memory;
  jclass runtime_exception;
  jmethodID make_cancellation;
  jmethodID make_illegal_argument;
  jmethodID make_out_of_memory;
  jmethodID make_runtime_exception;

  jclass string;
  jmethodID make_string;
  jmethodID string_bytes;
  jstring utf8;

  jclass ivalue;
  jclass tensor;

  jmethodID make_ivalue;
  jmethodID make_bool;
  jmethodID make_long;
  jmethodID make_double;
  jmethodID make_string_dict;
  jmethodID make_long_dict;
  jfieldID type_code;
  jfieldID data;
  jmethodID to_bool;
  jmethodID to_long;
  jmethodID to_double;
  jmethodID entries;

  jmethodID make_tensor;
  jmethodID raw_buffer;
  jmethodID dtype_code;
  jmethodID memory_format_code;
  jmethodID share_native;
  jfieldID shape;
};

// Valid after look_up().
extern Java java;

// Throws JavaException unless all is found.
void look_up(JavaVM* vm, JNIEnv* env);

// Returns a global reference, or throws JavaException.
jclass find_class(JNIEnv* env, const char* name);

// Throws JavaException if one is pending.
void check(JNIEnv* env);

template <typename T>
Local<T> checked(JNIEnv* env, T object) {
  Local<T> local(env, object);
  check(env);
  return local;
}

template <typename T>
Local<T> call_object(JNIEnv* env, jobject object, jmethodID method) {
  return checked(env, static_cast<T>(env->CallObjectMethod(object, method)));
}

void refuse_null(const void* reference, const char* what);

// Java's own conversion, since JNI's knows no characters beyond 16 bits.
std::string to_string(JNIEnv* env, jstring text);

// Returns the name of a file; the system would see a NUL as its end.
std::string to_path(JNIEnv* env, jstring path);
Local<jstring> to_java_string(JNIEnv* env, const std::string& text);

// Makes an exception pending; one that is there already stays.
void raise(JNIEnv* env, jclass type, jmethodID constructor, const char* message) noexcept;

// Makes the C++ exception in flight one of Java's, unless Java has thrown it.
void raise_current(JNIEnv* env) noexcept;

// Runs the body of an entry point. What it throws becomes a Java exception.
template <typename Body>
auto guarded(JNIEnv* env, Body&& body) noexcept -> decltype(body()) {
  try {
    return body();
  } catch (...) {
    raise_current(env);
  }
  return decltype(body())();
}

} // namespace torchlite::jni
