#include "tensors.h"

#include "../gpu.h"

#include <c10/core/MemoryFormat.h>
#include <c10/core/TensorImpl.h>
#include <c10/util/accumulate.h>

#include <algorithm>
#include <array>
#include <limits>
#include <memory>
#include <vector>

namespace torchlite::jni {

namespace {

struct DTypeCode {
  jint code;
  at::ScalarType dtype;
};

// The codes of DType.java.
constexpr std::array<DTypeCode, 8> dtypes = {{
    {1, at::kByte},
    {2, at::kChar},
    {3, at::kInt},
    {4, at::kFloat},
    {5, at::kLong},
    {6, at::kDouble},
    {7, at::kBool},
    {8, at::kHalf},
}};

// The codes of MemoryFormat.java.
constexpr jint contiguous = 1;
constexpr jint channels_last = 2;
constexpr jint channels_last_3d = 3;

constexpr size_t max_dims = 64; // as in the C API

at::ScalarType to_dtype(jint code) {
  for (const auto& known : dtypes) {
    if (known.code == code) {
      return known.dtype;
    }
  }
  throw IllegalArgument("unknown dtype");
}

jint dtype_code(at::ScalarType dtype) {
  for (const auto& known : dtypes) {
    if (known.dtype == dtype) {
      return known.code;
    }
  }
  throw IllegalArgument(std::string("Java has no tensors of dtype ") + c10::toString(dtype));
}

// Where a tensor lies in memory in two of the orders, channels go first.
jint memory_format_code(const at::Tensor& tensor) {
  if (tensor.is_contiguous(at::MemoryFormat::ChannelsLast)) {
    return channels_last;
  }
  return tensor.is_contiguous(at::MemoryFormat::ChannelsLast3d) ? channels_last_3d : contiguous;
}

std::vector<int64_t> strides_of(at::IntArrayRef sizes, jint format) {
  const size_t dims = sizes.size();
  if (format == channels_last && (dims == 3 || dims == 4)) {
    return c10::get_channels_last_strides_2d(sizes);
  }
  if (format == channels_last_3d && (dims == 4 || dims == 5)) {
    return c10::get_channels_last_strides_3d(sizes);
  }
  if (format != contiguous) {
    throw IllegalArgument(
        "a tensor of " + std::to_string(dims) + " dimensions cannot have its channels last");
  }
  std::vector<int64_t> strides(dims, 1);
  for (size_t i = dims; i > 1; i--) {
    strides[i - 2] = strides[i - 1] * std::max<int64_t>(sizes[i - 1], 1);
  }
  return strides;
}

std::vector<int64_t> read_shape(JNIEnv* env, jobject tensor) {
  const Local<jlongArray> array(
      env, static_cast<jlongArray>(env->GetObjectField(tensor, java.shape)));
  std::vector<int64_t> sizes(static_cast<size_t>(env->GetArrayLength(array.get())));
  env->GetLongArrayRegion(
      array.get(), 0, static_cast<jsize>(sizes.size()), reinterpret_cast<jlong*>(sizes.data()));
  return sizes;
}

// The last tensor over a buffer can go away on a thread that Java does not know.
void release(jobject reference) {
  void* env = nullptr;
  if (java.vm->GetEnv(&env, JNI_VERSION_1_6) == JNI_OK) {
    static_cast<JNIEnv*>(env)->DeleteGlobalRef(reference);
    return;
  }
#ifdef __ANDROID__
  JNIEnv* attached = nullptr;
#else
  void* attached = nullptr;
#endif
  if (java.vm->AttachCurrentThread(&attached, nullptr) == JNI_OK) {
    reinterpret_cast<JNIEnv*>(attached)->DeleteGlobalRef(reference);
    java.vm->DetachCurrentThread();
  }
}

// What the elements of a tensor lie in that Java gave.
struct Lent {
  Lent() = default;
  Lent(const Lent&) = delete;
  ~Lent() {
    if (buffer != nullptr) {
      release(buffer);
    }
  }

  // A result of a model has memory of the native side, which close() gives back; a share of it lasts.
  std::unique_ptr<at::Tensor> shared;
  jobject buffer = nullptr; // may be a copy, which nothing else refers to
};

} // namespace

at::Tensor to_tensor(JNIEnv* env, jobject tensor) {
  refuse_null(tensor, "a tensor");
  const std::vector<int64_t> sizes = read_shape(env, tensor);
  if (sizes.size() > max_dims) {
    throw IllegalArgument("the tensor has more than 64 dimensions");
  }
  const jint format = env->CallIntMethod(tensor, java.memory_format_code);
  check(env);
  const jint code = env->CallIntMethod(tensor, java.dtype_code);
  check(env);
  const at::ScalarType dtype = to_dtype(code);
  const std::vector<int64_t> strides = strides_of(sizes, format);
  auto lent = std::make_unique<Lent>();
  const jlong pointer = env->CallLongMethod(tensor, java.share_native);
  check(env);
  lent->shared.reset(reinterpret_cast<at::Tensor*>(pointer));
  const auto buffer = call_object<jobject>(env, tensor, java.raw_buffer);
  lent->buffer = env->NewGlobalRef(buffer.get());
  const auto type = c10::scalarTypeToTypeMeta(dtype);
  const auto bytes = static_cast<size_t>(c10::multiply_integers(sizes)) * type.itemsize();
  c10::DataPtr data(
      env->GetDirectBufferAddress(buffer.get()),
      lent.release(),
      [](void* held) { delete static_cast<Lent*>(held); },
      c10::DeviceType::CPU);
  auto made = at::detail::make_tensor<c10::TensorImpl>(
      c10::Storage(c10::Storage::use_byte_size_t(), bytes, std::move(data)),
      c10::DispatchKeySet(c10::DispatchKey::CPU),
      type);
  made.unsafeGetTensorImpl()->set_sizes_and_strides(sizes, strides);
  return made;
}

Local<jobject> to_java_tensor(JNIEnv* env, const at::Tensor& tensor) {
  if (!tensor.defined() || tensor.layout() != at::kStrided) {
    throw IllegalArgument("Java has only tensors that are defined and dense");
  }
  if (is_on_gpu(tensor)) {
    return to_java_tensor(env, to_host(tensor));
  }
  const jint dtype = dtype_code(tensor.scalar_type());
  const jint format = memory_format_code(tensor);
  auto owned =
      std::make_unique<at::Tensor>(format == contiguous ? tensor.contiguous() : tensor);
  if (owned->nbytes() > static_cast<size_t>(std::numeric_limits<jint>::max())) {
    throw IllegalArgument("a tensor of 2 GiB or more does not fit a Java buffer");
  }
  static char nothing = 0; // a buffer of no bytes has an address as well
  void* data = owned->nbytes() > 0 ? const_cast<void*>(owned->const_data_ptr()) : &nothing;
  const auto buffer =
      checked(env, env->NewDirectByteBuffer(data, static_cast<jlong>(owned->nbytes())));
  const at::IntArrayRef sizes = owned->sizes();
  const auto shape = checked(env, env->NewLongArray(static_cast<jsize>(sizes.size())));
  env->SetLongArrayRegion(
      shape.get(),
      0,
      static_cast<jsize>(sizes.size()),
      reinterpret_cast<const jlong*>(sizes.data()));
  auto made = checked(
      env,
      env->CallStaticObjectMethod(
          java.tensor,
          java.make_tensor,
          buffer.get(),
          shape.get(),
          dtype,
          format,
          reinterpret_cast<jlong>(owned.get())));
  owned.release(); // freed by NativeHandle.java
  return made;
}

} // namespace torchlite::jni
