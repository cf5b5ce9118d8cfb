#include "ivalues.h"

#include "../item_types.h"

#include "tensors.h"

#include <ATen/core/Dict.h>
#include <ATen/core/List.h>

namespace torchlite::jni {

namespace {

// The codes of IValue.java.
enum Code : jint {
  Null = 1,
  Tensor = 2,
  Bool = 3,
  Long = 4,
  Double = 5,
  String = 6,
  Tuple = 7,
  BoolList = 8,
  LongList = 9,
  DoubleList = 10,
  TensorList = 11,
  List = 12,
  DictStringKey = 13,
  DictLongKey = 14,
};

jsize size_of(size_t size) {
  return static_cast<jsize>(size);
}

// ---- From Java.

constexpr int max_depth = 64; // as in the C API
// A value, what it holds, and the keys and values of a dict.
constexpr jint references_of_one = 5;

// What a value is read as: the type that the schema has in its place, or null, and how many values it is in.
struct Place {
  c10::TypePtr wanted;
  int above = 0;

  // Of an item of this value.
  Place inside(c10::TypeKind kind, size_t place) const {
    return {contained_type(wanted.get(), kind, place), above + 1};
  }
};

c10::IValue to_ivalue(JNIEnv* env, jobject value, Place place);

// `inside` gives the place of the i-th.
template <typename Inside>
std::vector<c10::IValue> to_ivalues(JNIEnv* env, jobjectArray values, Inside&& inside) {
  refuse_null(values, "an array of values");
  std::vector<c10::IValue> result;
  for (jsize i = 0; i < env->GetArrayLength(values); i++) {
    const Local<jobject> value(env, env->GetObjectArrayElement(values, i));
    result.push_back(to_ivalue(env, value.get(), inside(static_cast<size_t>(i))));
  }
  return result;
}

template <typename Array, typename Element>
std::vector<Element> read_array(
    JNIEnv* env,
    jobject array,
    void (JNIEnv::*read)(Array, jsize, jsize, Element*)) {
  refuse_null(array, "a list");
  const auto elements = static_cast<Array>(array);
  std::vector<Element> result(static_cast<size_t>(env->GetArrayLength(elements)));
  (env->*read)(elements, 0, size_of(result.size()), result.data());
  return result;
}

template <typename T, typename Element>
c10::IValue to_list(const std::vector<Element>& elements) {
  c10::List<T> list;
  list.reserve(elements.size());
  for (const Element element : elements) {
    list.push_back(static_cast<T>(element));
  }
  return list;
}

c10::IValue to_generic_list(const std::vector<c10::IValue>& values, const c10::TypePtr& wanted) {
  c10::impl::GenericList list(element_type(wanted, values));
  for (const auto& value : values) {
    list.push_back(value);
  }
  return list;
}

c10::IValue to_tensor_list(JNIEnv* env, jobject array, const c10::TypePtr& wanted) {
  refuse_null(array, "a list");
  const auto tensors = static_cast<jobjectArray>(array);
  std::vector<c10::IValue> values;
  for (jsize i = 0; i < env->GetArrayLength(tensors); i++) {
    const Local<jobject> tensor(env, env->GetObjectArrayElement(tensors, i));
    values.emplace_back(to_tensor(env, tensor.get()));
  }
  const bool optional = wanted != nullptr && kind_of(*wanted) == c10::TypeKind::OptionalType;
  return to_generic_list(values, optional ? wanted : c10::TypePtr(c10::TensorType::get()));
}

c10::IValue to_dict(JNIEnv* env, jobject value, bool string_keys, const Place& place) {
  const auto entries = call_object<jobjectArray>(env, value, java.entries);
  const Local<jobject> keys(env, env->GetObjectArrayElement(entries.get(), 0));
  const Local<jobject> held(env, env->GetObjectArrayElement(entries.get(), 1));
  const Place inside = place.inside(c10::TypeKind::DictType, 1);
  const auto values =
      to_ivalues(env, static_cast<jobjectArray>(held.get()), [&](size_t) { return inside; });
  const auto type = element_type(inside.wanted, values);
  if (string_keys) {
    c10::impl::GenericDict dict(c10::StringType::get(), type);
    for (size_t i = 0; i < values.size(); i++) {
      const Local<jobject> key(
          env, env->GetObjectArrayElement(static_cast<jobjectArray>(keys.get()), size_of(i)));
      refuse_null(key.get(), "a key");
      if (!dict.insert(to_string(env, static_cast<jstring>(key.get())), values[i]).second) {
        throw IllegalArgument("two keys of a dict are one text in UTF-8, which has no halves of characters");
      }
    }
    return dict;
  }
  const auto numbers = read_array(env, keys.get(), &JNIEnv::GetLongArrayRegion);
  c10::impl::GenericDict dict(c10::IntType::get(), type);
  for (size_t i = 0; i < values.size(); i++) {
    dict.insert(static_cast<int64_t>(numbers[i]), values[i]);
  }
  return dict;
}

template <typename T>
T called(JNIEnv* env, T result) {
  check(env);
  return result;
}

c10::IValue to_ivalue(JNIEnv* env, jobject value, Place place) {
  refuse_null(value, "a value");
  if (place.above > max_depth) {
    throw IllegalArgument("values are nested more than 64 deep");
  }
  if (place.wanted != nullptr && kind_of(*place.wanted) == c10::TypeKind::OptionalType) {
    place.wanted = place.wanted->containedType(0);
  }
  const jint code = env->GetIntField(value, java.type_code);
  const Local<jobject> data(env, env->GetObjectField(value, java.data));
  if (code != Null) {
    refuse_null(data.get(), "what a value holds");
  }
  switch (code) {
    case Null:
      return {};
    case Tensor:
      return to_tensor(env, data.get());
    case Bool:
      return called(env, env->CallBooleanMethod(value, java.to_bool)) != JNI_FALSE;
    case Long:
      return static_cast<int64_t>(called(env, env->CallLongMethod(value, java.to_long)));
    case Double:
      return called(env, env->CallDoubleMethod(value, java.to_double));
    case String:
      return to_string(env, static_cast<jstring>(data.get()));
    case Tuple:
      return c10::ivalue::Tuple::create(to_ivalues(
          env, static_cast<jobjectArray>(data.get()), [&](size_t i) {
            return place.inside(c10::TypeKind::TupleType, i);
          }));
    case BoolList:
      return to_list<bool>(read_array(env, data.get(), &JNIEnv::GetBooleanArrayRegion));
    case LongList:
      return to_list<int64_t>(read_array(env, data.get(), &JNIEnv::GetLongArrayRegion));
    case DoubleList:
      return to_list<double>(read_array(env, data.get(), &JNIEnv::GetDoubleArrayRegion));
    case TensorList:
      return to_tensor_list(env, data.get(), place.inside(c10::TypeKind::ListType, 0).wanted);
    case List: {
      const Place inside = place.inside(c10::TypeKind::ListType, 0);
      const auto values =
          to_ivalues(env, static_cast<jobjectArray>(data.get()), [&](size_t) { return inside; });
      return to_generic_list(values, inside.wanted);
    }
    case DictStringKey:
    case DictLongKey:
      return to_dict(env, value, code == DictStringKey, place);
    default:
      throw IllegalArgument("a value of an unknown kind");
  }
}

// ---- To Java.

Local<jobject> make(JNIEnv* env, Code code, jobject data) {
  return checked(env, env->NewObject(java.ivalue, java.make_ivalue, code, data));
}

template <typename Array, typename Element, typename List>
Local<jobject> make_list(
    JNIEnv* env,
    Code code,
    const List& list,
    Array (JNIEnv::*create)(jsize),
    void (JNIEnv::*write)(Array, jsize, jsize, const Element*)) {
  std::vector<Element> elements;
  elements.reserve(list.size());
  for (const auto& element : list) {
    elements.push_back(static_cast<Element>(element));
  }
  const auto array = checked(env, (env->*create)(size_of(elements.size())));
  (env->*write)(array.get(), 0, size_of(elements.size()), elements.data());
  return make(env, code, array.get());
}

// `convert` makes one Java object of the i-th element.
template <typename Convert>
Local<jobjectArray> make_array(JNIEnv* env, jclass type, size_t size, Convert&& convert) {
  auto array = checked(env, env->NewObjectArray(size_of(size), type, nullptr));
  for (size_t i = 0; i < size; i++) {
    const auto element = convert(i);
    env->SetObjectArrayElement(array.get(), size_of(i), element.get());
    check(env);
  }
  return array;
}

template <typename Values>
Local<jobjectArray> make_values(JNIEnv* env, const Values& values) {
  return make_array(
      env, java.ivalue, values.size(), [&](size_t i) { return to_java_value(env, values[i]); });
}

Local<jobject> make_tensors(JNIEnv* env, const c10::List<at::Tensor>& tensors) {
  const auto array = make_array(env, java.tensor, tensors.size(), [&](size_t i) {
    return to_java_tensor(env, tensors.get(i));
  });
  return make(env, TensorList, array.get());
}

Local<jobject> make_dict(JNIEnv* env, const c10::Dict<c10::IValue, c10::IValue>& dict) {
  std::vector<c10::IValue> keys;
  std::vector<c10::IValue> values;
  for (const auto& item : dict) {
    keys.push_back(item.key());
    values.push_back(item.value());
  }
  const auto java_values = make_values(env, values);
  const c10::TypeKind kind = kind_of(*dict.keyType());
  if (kind == c10::TypeKind::StringType) {
    const auto java_keys = make_array(env, java.string, keys.size(), [&](size_t i) {
      return to_java_string(env, keys[i].toStringRef());
    });
    return checked(
        env,
        env->CallStaticObjectMethod(
            java.ivalue, java.make_string_dict, java_keys.get(), java_values.get()));
  }
  if (kind != c10::TypeKind::IntType) {
    throw IllegalArgument(std::string("Java has no dictionaries with keys of ") + c10::typeKindToString(kind));
  }
  const auto java_keys = checked(env, env->NewLongArray(size_of(keys.size())));
  for (size_t i = 0; i < keys.size(); i++) {
    const jlong key = keys[i].toInt();
    env->SetLongArrayRegion(java_keys.get(), size_of(i), 1, &key);
  }
  return checked(
      env,
      env->CallStaticObjectMethod(
          java.ivalue, java.make_long_dict, java_keys.get(), java_values.get()));
}

Local<jobject> make_collection(JNIEnv* env, const c10::IValue& value) {
  if (value.isTuple()) {
    return make(env, Tuple, make_values(env, value.toTupleRef().elements()).get());
  }
  if (value.isBoolList()) {
    return make_list<jbooleanArray, jboolean>(
        env,
        BoolList,
        value.toBoolList(),
        &JNIEnv::NewBooleanArray,
        &JNIEnv::SetBooleanArrayRegion);
  }
  if (value.isIntList()) {
    return make_list<jlongArray, jlong>(
        env, LongList, value.toIntList(), &JNIEnv::NewLongArray, &JNIEnv::SetLongArrayRegion);
  }
  if (value.isDoubleList()) {
    return make_list<jdoubleArray, jdouble>(
        env, DoubleList, value.toDoubleList(), &JNIEnv::NewDoubleArray, &JNIEnv::SetDoubleArrayRegion);
  }
  if (value.isTensorList()) {
    return make_tensors(env, value.toTensorList());
  }
  if (value.isList()) {
    return make(env, List, make_values(env, value.toListRef()).get());
  }
  if (value.isGenericDict()) {
    return make_dict(env, value.toGenericDict());
  }
  throw IllegalArgument("Java has no values of type " + value.tagKind());
}

} // namespace

std::vector<c10::IValue> to_arguments(JNIEnv* env, jobjectArray values, const Method& method) {
  env->EnsureLocalCapacity((max_depth + 1) * references_of_one);
  check(env);
  const auto& function = method.function();
  return to_ivalues(env, values, [&](size_t i) -> Place {
    // The first argument is the module itself.
    const bool known = function.hasSchema() && i + 1 < function.getSchema().arguments().size();
    return {known ? function.getSchema().arguments()[i + 1].type() : nullptr};
  });
}

Local<jobject> to_java_value(JNIEnv* env, const c10::IValue& value) {
  if (value.isNone()) {
    return make(env, Null, nullptr);
  }
  if (value.isTensor()) {
    return make(env, Tensor, to_java_tensor(env, value.toTensor()).get());
  }
  if (value.isBool()) {
    const auto boolean = static_cast<jboolean>(value.toBool());
    return checked(env, env->CallStaticObjectMethod(java.ivalue, java.make_bool, boolean));
  }
  if (value.isInt()) {
    const auto number = static_cast<jlong>(value.toInt());
    return checked(env, env->CallStaticObjectMethod(java.ivalue, java.make_long, number));
  }
  if (value.isDouble()) {
    const jdouble number = value.toDouble();
    return checked(env, env->CallStaticObjectMethod(java.ivalue, java.make_double, number));
  }
  if (value.isString()) {
    return make(env, String, to_java_string(env, value.toStringRef()).get());
  }
  return make_collection(env, value);
}

} // namespace torchlite::jni
