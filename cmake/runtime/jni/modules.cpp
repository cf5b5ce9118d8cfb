// Loading, running and freeing models, and the library's one exported function.

#include "../cancellation.h"
#include "../gpu.h"
#include "../methods.h"
#include "../selected_operators.h"
#include "../source.h"
#include "../verifier/instructions.h"
#include "ivalues.h"
#include "natives.h"

#ifdef __ANDROID__
#include <android/asset_manager_jni.h>
#endif

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <limits>
#include <memory>
#include <new>
#include <optional>

namespace torchlite::jni {

namespace {

constexpr jint cpu = 1; // as in Device.java

// What a Java module holds.
struct Held {
  // `load` gives the module, which is made in its place: without memory, moving one would end the process.
  template <typename Load>
  explicit Held(Load&& load) : module(load()) {}

  Module module;
  size_t file_size = 0; // about what it takes of memory
  Cancellation cancellation;
};

// Bytes of a model that Java gives piece by piece. They grow in place where the system can do that, and stay out of the heap
// of Java, which is small on phones.
class Bytes {
 public:
  Bytes() = default;
  Bytes(const Bytes&) = delete;
  Bytes& operator=(const Bytes&) = delete;

  ~Bytes() {
    std::free(data_);
  }

  // Returns where the next `count` bytes go.
  jbyte* extend(size_t count) {
    if (count > limit - size_) {
      throw IllegalArgument("a model of more than 2 GiB can only be loaded from a path");
    }
    if (size_ + count > capacity_) {
      const size_t wanted = std::min(limit, std::max(size_ + count, capacity_ + capacity_ / 2));
      void* grown = std::realloc(data_, wanted);
      if (grown == nullptr) {
        throw std::bad_alloc();
      }
      data_ = grown;
      capacity_ = wanted;
    }
    jbyte* place = static_cast<jbyte*>(data_) + size_;
    size_ += count;
    return place;
  }

  const void* data() const {
    return data_;
  }

  size_t size() const {
    return size_;
  }

 private:
  static constexpr size_t limit = std::numeric_limits<jint>::max();
  void* data_ = nullptr;
  size_t size_ = 0;
  size_t capacity_ = 0;
};

void check_device(jint device) {
  if (device == cpu) {
    return;
  }
  if (!has_gpu) {
    throw IllegalArgument("this build of libpytorch_jni_lite.so runs models on the CPU only");
  }
  if (!has_device()) {
    throw IllegalArgument("this device has no GPU that Vulkan can use");
  }
}

#ifdef TORCHLITE_OWN_CORE
std::vector<Value> place_for(const Module&, std::vector<Value> inputs) {
  return inputs; // this core has no tensors on a GPU
}
#else
// The value with its tensors in the GPU's memory.
[[maybe_unused]] c10::IValue place(const c10::IValue& value) {
  if (value.isTensor()) {
    return to_gpu(value.toTensor());
  }
  if (value.isTensorList()) {
    c10::List<at::Tensor> list;
    for (const at::Tensor tensor : value.toTensorList()) {
      list.push_back(to_gpu(tensor));
    }
    return list;
  }
  if (value.isTuple()) {
    std::vector<c10::IValue> items;
    for (const auto& item : value.toTupleRef().elements()) {
      items.push_back(place(item));
    }
    return c10::ivalue::Tuple::create(std::move(items));
  }
  if (value.isGenericDict()) {
    const auto given = value.toGenericDict();
    c10::impl::GenericDict dict(given.keyType(), given.valueType());
    for (const auto& entry : given) {
      dict.insert(entry.key(), place(entry.value()));
    }
    return dict;
  }
  return value;
}

std::vector<c10::IValue> place_for(const Module& module, std::vector<c10::IValue> inputs) {
  if constexpr (has_gpu) {
    if (is_for_gpu(module)) {
      std::transform(inputs.begin(), inputs.end(), inputs.begin(), place);
    }
  }
  return inputs;
}
#endif

Held& held(jlong pointer) {
  return *reinterpret_cast<Held*>(pointer);
}

// `names` are of additional files in the model, `contents` takes what they hold. `loader` loads with them.
template <typename Loader>
jlong load_with(JNIEnv* env, jobjectArray names, jobjectArray contents, jint device, Loader&& loader) {
  check_device(device);
  ExtraFiles extra;
  std::vector<std::string> wanted;
  for (jsize i = 0; i < env->GetArrayLength(names); i++) {
    const Local<jobject> name(env, env->GetObjectArrayElement(names, i));
    refuse_null(name.get(), "the name of an extra file");
    wanted.push_back(to_string(env, static_cast<jstring>(name.get())));
    extra[wanted.back()] = "";
  }
  size_t size = 0;
  auto loaded = std::make_unique<Held>([&] { return loader(extra, size); });
  loaded->file_size = size;
  for (size_t i = 0; i < wanted.size(); i++) {
    const std::string& content = extra[wanted[i]];
    const auto size = static_cast<jsize>(content.size());
    const auto bytes = checked(env, env->NewByteArray(size));
    env->SetByteArrayRegion(bytes.get(), 0, size, reinterpret_cast<const jbyte*>(content.data()));
    env->SetObjectArrayElement(contents, static_cast<jsize>(i), bytes.get());
    check(env);
  }
  return reinterpret_cast<jlong>(loaded.release());
}

jlong load(JNIEnv* env, jclass, jstring path, jobjectArray names, jobjectArray contents, jint device) {
  return guarded(env, [&] {
    refuse_null(path, "the path of the model");
    return load_with(env, names, contents, device, [&](ExtraFiles& extra, size_t& size) {
      const std::string name = to_path(env, path);
      size = static_cast<size_t>(Source(name).size());
      return load_module(name, extra);
    });
  });
}

jlong load_buffer(
    JNIEnv* env,
    jclass,
    jobject buffer,
    jint begin,
    jint end,
    jobjectArray names,
    jobjectArray contents,
    jint device) {
  return guarded(env, [&] {
    const auto* data = static_cast<const char*>(env->GetDirectBufferAddress(buffer));
    if (data == nullptr) {
      throw IllegalArgument("the buffer of the model is not direct");
    }
    return load_with(env, names, contents, device, [&](ExtraFiles& extra, size_t& size) {
      size = static_cast<size_t>(end - begin);
      return load_module(data + begin, size, extra);
    });
  });
}

jlong new_bytes(JNIEnv* env, jclass) {
  return guarded(env, [] { return reinterpret_cast<jlong>(new Bytes()); });
}

void append_bytes(JNIEnv* env, jclass, jlong bytes, jbyteArray piece, jint begin, jint count) {
  guarded(env, [&] {
    jbyte* place = reinterpret_cast<Bytes*>(bytes)->extend(static_cast<size_t>(count));
    env->GetByteArrayRegion(piece, begin, count, place);
    check(env);
  });
}

void free_bytes(JNIEnv*, jclass, jlong bytes) {
  delete reinterpret_cast<Bytes*>(bytes);
}

jlong load_bytes(
    JNIEnv* env, jclass, jlong bytes, jobjectArray names, jobjectArray contents, jint device) {
  return guarded(env, [&] {
    const auto& given = *reinterpret_cast<const Bytes*>(bytes);
    return load_with(env, names, contents, device, [&](ExtraFiles& extra, size_t& size) {
      size = given.size();
      return load_module(given.data(), size, extra);
    });
  });
}

#ifdef __ANDROID__
struct CloseAsset {
  void operator()(AAsset* asset) const {
    AAsset_close(asset);
  }
};

Module load_asset(JNIEnv* env, jobject java_manager, const std::string& name, ExtraFiles& extra, size_t& size) {
  AAssetManager* manager = AAssetManager_fromJava(env, java_manager);
  refuse_null(manager, "the asset manager");
  const std::unique_ptr<AAsset, CloseAsset> asset(
      AAssetManager_open(manager, name.c_str(), AASSET_MODE_BUFFER));
  if (asset == nullptr) {
    throw IllegalArgument("the app has no asset " + name);
  }
  const void* content = AAsset_getBuffer(asset.get());
  if (content == nullptr) {
    throw IllegalArgument("the asset " + name + " cannot be read");
  }
  size = static_cast<size_t>(AAsset_getLength64(asset.get()));
  return load_module(content, size, extra);
}
#else
Module load_asset(JNIEnv*, jobject, const std::string&, ExtraFiles&, size_t&) {
  throw IllegalArgument("only Android has assets");
}
#endif

jlong load_asset(
    JNIEnv* env,
    jclass,
    jobject manager,
    jstring name,
    jobjectArray names,
    jobjectArray contents,
    jint device) {
  return guarded(env, [&] {
    refuse_null(manager, "the asset manager");
    refuse_null(name, "the name of the asset");
    return load_with(env, names, contents, device, [&](ExtraFiles& extra, size_t& size) {
      return load_asset(env, manager, to_string(env, name), extra, size);
    });
  });
}

jobject run(JNIEnv* env, jclass, jlong pointer, jstring name, jobjectArray inputs) {
  return guarded(env, [&] {
    refuse_null(name, "the name of the method");
    const Module& module = held(pointer).module;
    const std::string method_name = to_string(env, name);
    const auto method = module.find_method(method_name);
    if (!method.has_value()) {
      throw IllegalArgument("the model has no method " + method_name);
    }
    c10::InferenceMode guard;
    std::optional<GpuTurn> turn;
    if (is_for_gpu(module)) {
      turn.emplace();
    }
    const Cancellation::Scope scope(held(pointer).cancellation);
    return to_java_value(env, call_method(module, *method, place_for(module, to_arguments(env, inputs, *method)))).release();
  });
}

Local<jobjectArray> to_java_strings(JNIEnv* env, const std::vector<std::string>& texts) {
  auto array = checked(env, env->NewObjectArray(static_cast<jsize>(texts.size()), java.string, nullptr));
  for (size_t i = 0; i < texts.size(); i++) {
    const auto text = to_java_string(env, texts[i]);
    env->SetObjectArrayElement(array.get(), static_cast<jsize>(i), text.get());
    check(env);
  }
  return array;
}

// Names and descriptions in turn, sorted, of the methods that can be called.
jobjectArray describe_methods(JNIEnv* env, jclass, jlong pointer) {
  return guarded(env, [&] {
    std::vector<std::string> texts;
    for (const auto& method : list_methods(held(pointer).module)) {
      texts.push_back(method.name());
      texts.push_back(describe_method(method));
    }
    return to_java_strings(env, texts).release();
  });
}

jobjectArray list_operators(JNIEnv* env, jclass) {
  return guarded(env, [&] {
    std::vector<std::string> names;
    for (const char* const* name = selected_operators; *name != nullptr; name++) {
      const char* dot = std::strchr(*name, '.');
      const c10::OperatorName parts =
          dot == nullptr ? c10::OperatorName(*name, "") : c10::OperatorName(std::string(*name, dot), dot + 1);
      if (find_arity(parts, /*specified=*/-1).known) {
        names.emplace_back(*name);
      }
    }
    return to_java_strings(env, names).release();
  });
}

jboolean has_gpu_device(JNIEnv* env, jclass) {
  return guarded(env, []() -> jboolean { return has_gpu && has_device(); });
}

jobject version(JNIEnv* env, jclass) {
  return guarded(env, [&]() -> jobject { return to_java_string(env, TORCHLITE_PYTORCH_VERSION).release(); });
}

jlong size_of(JNIEnv*, jclass, jlong pointer) {
  return static_cast<jlong>(held(pointer).file_size);
}

void cancel_module(JNIEnv*, jclass, jlong pointer) {
  held(pointer).cancellation.cancel();
}

void free_module(JNIEnv*, jclass, jlong pointer) {
  delete &held(pointer);
}

jlong share_tensor(JNIEnv* env, jclass, jlong pointer) {
  return guarded(env, [&] {
    return reinterpret_cast<jlong>(new at::Tensor(*reinterpret_cast<const at::Tensor*>(pointer)));
  });
}

void free_tensor(JNIEnv*, jclass, jlong pointer) {
  delete reinterpret_cast<at::Tensor*>(pointer);
}

void set_threads(JNIEnv* env, jclass, jint threads) {
  guarded(env, [&] {
    try {
      torchlite::set_threads(threads);
    } catch (const std::runtime_error& error) {
      throw IllegalArgument(error.what());
    }
  });
}

void set_spinning(JNIEnv*, jclass, jboolean on) {
  torchlite::set_spinning(on != JNI_FALSE);
}

void set_step_limit(JNIEnv*, jclass, jlong steps) {
  torchlite::set_step_limit(static_cast<uint64_t>(steps));
}

void set_pipeline_cache(JNIEnv* env, jclass, jstring path) {
  guarded(env, [&] { keep_pipelines(path == nullptr ? "" : to_path(env, path)); });
}

template <size_t count>
void register_natives(JNIEnv* env, const char* class_name, const JNINativeMethod (&methods)[count]) {
  const auto type = checked(env, env->FindClass(class_name));
  env->RegisterNatives(type.get(), methods, static_cast<jint>(count));
  check(env);
}

template <typename Function>
void* address(Function* function) {
  return reinterpret_cast<void*>(function);
}

} // namespace

void register_modules(JNIEnv* env) {
  using LoadAsset = jlong(JNIEnv*, jclass, jobject, jstring, jobjectArray, jobjectArray, jint);
  using SetSpinning = void(JNIEnv*, jclass, jboolean);
  using SetStepLimit = void(JNIEnv*, jclass, jlong);
  using SetThreads = void(JNIEnv*, jclass, jint);
  constexpr auto text = [](const char* constant) { return const_cast<char*>(constant); };
  const JNINativeMethod peer[] = {
      {text("load"),
       text("(Ljava/lang/String;[Ljava/lang/String;[[BI)J"),
       address(load)},
      {text("loadAsset"),
       text("(Ljava/lang/Object;Ljava/lang/String;[Ljava/lang/String;[[BI)J"),
       address<LoadAsset>(load_asset)},
      {text("loadBuffer"),
       text("(Ljava/nio/ByteBuffer;II[Ljava/lang/String;[[BI)J"),
       address(load_buffer)},
      {text("loadBytes"),
       text("(J[Ljava/lang/String;[[BI)J"),
       address(load_bytes)},
      {text("newBytes"), text("()J"), address(new_bytes)},
      {text("appendBytes"), text("(J[BII)V"), address(append_bytes)},
      {text("freeBytes"), text("(J)V"), address(free_bytes)},
      {text("describeMethods"), text("(J)[Ljava/lang/String;"), address(describe_methods)},
      {text("run"),
       text("(JLjava/lang/String;[Lorg/pytorch/IValue;)Lorg/pytorch/IValue;"),
       address(run)},
  };
  const JNINativeMethod handle[] = {
      {text("cancelModule"), text("(J)V"), address(cancel_module)},
      {text("freeModule"), text("(J)V"), address(free_module)},
      {text("sizeOfModule"), text("(J)J"), address(size_of)},
      {text("shareTensor"), text("(J)J"), address(share_tensor)},
      {text("freeTensor"), text("(J)V"), address(free_tensor)},
  };
  const JNINativeMethod library[] = {
      {text("hasGpu"), text("()Z"), address(has_gpu_device)},
      {text("listOperators"), text("()[Ljava/lang/String;"), address(list_operators)},
      {text("version"), text("()Ljava/lang/String;"), address(version)},
  };
  const JNINativeMethod settings[] = {
      {text("nativeSetNumThreads"), text("(I)V"), address<SetThreads>(set_threads)},
      {text("nativeSetPipelineCache"), text("(Ljava/lang/String;)V"), address(set_pipeline_cache)},
      {text("nativeSetSpinning"), text("(Z)V"), address<SetSpinning>(set_spinning)},
      {text("nativeSetStepLimit"), text("(J)V"), address<SetStepLimit>(set_step_limit)},
  };
  register_natives(env, "org/pytorch/LiteNativePeer", peer);
  register_natives(env, "org/pytorch/NativeHandle", handle);
  register_natives(env, "org/pytorch/NativeLibrary", library);
  register_natives(env, "org/pytorch/PyTorchAndroid", settings);
}

} // namespace torchlite::jni

extern "C" JNIEXPORT jint JNICALL JNI_OnLoad(JavaVM* vm, void*) {
  using namespace torchlite::jni;
  void* env = nullptr;
  if (vm->GetEnv(&env, JNI_VERSION_1_6) != JNI_OK) {
    return JNI_ERR;
  }
  return guarded(static_cast<JNIEnv*>(env), [&]() -> jint {
    look_up(vm, static_cast<JNIEnv*>(env));
    register_modules(static_cast<JNIEnv*>(env));
    register_images(static_cast<JNIEnv*>(env));
    return JNI_VERSION_1_6;
  });
}
