// Loading, running and freeing models, and the library's one exported function.

#include "../gpu.h"
#include "../lite_module.h"
#include "ivalues.h"
#include "natives.h"

#ifdef __ANDROID__
#include <android/asset_manager_jni.h>
#endif

#include <ATen/core/Dict.h>
#include <ATen/core/List.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <optional>

namespace torchlite::jni {

namespace {

constexpr jint cpu = 1; // as in Device.java

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

jlong to_pointer(Module&& module) {
  return reinterpret_cast<jlong>(new Module(std::move(module)));
}

// `names` are of additional files in the model, `contents` takes what they hold.
jlong load(JNIEnv* env, jclass, jstring path, jobjectArray names, jobjectArray contents, jint device) {
  return guarded(env, [&] {
    refuse_null(path, "the path of the model");
    check_device(device);
    ExtraFiles extra;
    std::vector<std::string> wanted;
    for (jsize i = 0; i < env->GetArrayLength(names); i++) {
      const Local<jobject> name(env, env->GetObjectArrayElement(names, i));
      refuse_null(name.get(), "the name of an extra file");
      wanted.push_back(to_string(env, static_cast<jstring>(name.get())));
      extra[wanted.back()] = "";
    }
    Module module = load_module(to_string(env, path), extra);
    for (size_t i = 0; i < wanted.size(); i++) {
      const auto content = to_java_string(env, extra[wanted[i]]);
      env->SetObjectArrayElement(contents, static_cast<jsize>(i), content.get());
    }
    return to_pointer(std::move(module));
  });
}

#ifdef __ANDROID__
struct CloseAsset {
  void operator()(AAsset* asset) const {
    AAsset_close(asset);
  }
};

Module load_asset(JNIEnv* env, jobject java_manager, const std::string& name) {
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
  return load_module(content, static_cast<size_t>(AAsset_getLength64(asset.get())));
}
#else
Module load_asset(JNIEnv*, jobject, const std::string&) {
  throw IllegalArgument("only Android has assets");
}
#endif

jlong load_asset(JNIEnv* env, jclass, jobject manager, jstring name, jint device) {
  return guarded(env, [&] {
    refuse_null(manager, "the asset manager");
    refuse_null(name, "the name of the asset");
    check_device(device);
    return to_pointer(load_asset(env, manager, to_string(env, name)));
  });
}

jobject run(JNIEnv* env, jclass, jlong pointer, jstring name, jobjectArray inputs) {
  return guarded(env, [&] {
    refuse_null(name, "the name of the method");
    const auto& module = *reinterpret_cast<const Module*>(pointer);
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
    return to_java_value(env, call_method(module, *method, place_for(module, to_ivalues(env, inputs)))).release();
  });
}

void free_module(JNIEnv*, jclass, jlong pointer) {
  delete reinterpret_cast<Module*>(pointer);
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
  guarded(env, [&] { keep_pipelines(path == nullptr ? "" : to_string(env, path)); });
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
  using LoadAsset = jlong(JNIEnv*, jclass, jobject, jstring, jint);
  using SetSpinning = void(JNIEnv*, jclass, jboolean);
  using SetStepLimit = void(JNIEnv*, jclass, jlong);
  using SetThreads = void(JNIEnv*, jclass, jint);
  constexpr auto text = [](const char* constant) { return const_cast<char*>(constant); };
  const JNINativeMethod peer[] = {
      {text("load"),
       text("(Ljava/lang/String;[Ljava/lang/String;[Ljava/lang/String;I)J"),
       address(load)},
      {text("loadAsset"),
       text("(Ljava/lang/Object;Ljava/lang/String;I)J"),
       address<LoadAsset>(load_asset)},
      {text("run"),
       text("(JLjava/lang/String;[Lorg/pytorch/IValue;)Lorg/pytorch/IValue;"),
       address(run)},
  };
  const JNINativeMethod handle[] = {
      {text("freeModule"), text("(J)V"), address(free_module)},
      {text("freeTensor"), text("(J)V"), address(free_tensor)},
  };
  const JNINativeMethod settings[] = {
      {text("nativeSetNumThreads"), text("(I)V"), address<SetThreads>(set_threads)},
      {text("nativeSetPipelineCache"), text("(Ljava/lang/String;)V"), address(set_pipeline_cache)},
      {text("nativeSetSpinning"), text("(Z)V"), address<SetSpinning>(set_spinning)},
      {text("nativeSetStepLimit"), text("(J)V"), address<SetStepLimit>(set_step_limit)},
  };
  register_natives(env, "org/pytorch/LiteNativePeer", peer);
  register_natives(env, "org/pytorch/NativeHandle", handle);
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
