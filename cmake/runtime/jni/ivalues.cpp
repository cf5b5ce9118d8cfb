#include "ivalues.h"

#include "tensors.h"

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
  AnyTypePtr wanted;
  int above = 0;

  // Of an item of this value.
  Place inside(AnyKind kind, size_t place) const {
    return {contained_type(wanted.get(), kind, place), above + 1};
  }
};

AnyValue to_value(JNIEnv* env, jobject value, Place place);

// `inside` gives the place of the i-th.
template <typename Inside>
std::vector<AnyValue> to_values(JNIEnv* env, jobjectArray values, Inside&& inside) {
  refuse_null(values, "an array of values");
  std::vector<AnyValue> result;
  for (jsize i = 0; i < env->GetArrayLength(values); i++) {
    const Local<jobject> value(env, env->GetObjectArrayElement(values, i));
    result.push_back(to_value(env, value.get(), inside(static_cast<size_t>(i))));
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
std::vector<AnyValue> to_numbers(const std::vector<Element>& elements) {
  std::vector<AnyValue> numbers;
  numbers.reserve(elements.size());
  for (const Element element : elements) {
    numbers.emplace_back(static_cast<T>(element));
  }
  return numbers;
}

AnyValue to_tensor_list(JNIEnv* env, jobject array, const AnyTypePtr& wanted) {
  refuse_null(array, "a list");
  const auto tensors = static_cast<jobjectArray>(array);
  std::vector<AnyValue> values;
  for (jsize i = 0; i < env->GetArrayLength(tensors); i++) {
    const Local<jobject> tensor(env, env->GetObjectArrayElement(tensors, i));
    values.emplace_back(to_tensor(env, tensor.get()));
  }
  const bool optional = wanted != nullptr && kind_of(*wanted) == Kind::Optional;
  return make_list(optional ? wanted : plain_type(Kind::Tensor), std::move(values));
}

AnyValue to_dict(JNIEnv* env, jobject value, bool string_keys, const Place& place) {
  const auto entries = call_object<jobjectArray>(env, value, java.entries);
  const Local<jobject> given(env, env->GetObjectArrayElement(entries.get(), 0));
  const Local<jobject> held(env, env->GetObjectArrayElement(entries.get(), 1));
  const Place inside = place.inside(Kind::Dict, 1);
  const auto values =
      to_values(env, static_cast<jobjectArray>(held.get()), [&](size_t) { return inside; });
  std::vector<AnyValue> keys;
  if (string_keys) {
    for (size_t i = 0; i < values.size(); i++) {
      const Local<jobject> key(
          env, env->GetObjectArrayElement(static_cast<jobjectArray>(given.get()), size_of(i)));
      refuse_null(key.get(), "a key");
      keys.emplace_back(to_string(env, static_cast<jstring>(key.get())));
    }
  } else {
    keys = to_numbers<int64_t>(read_array(env, given.get(), &JNIEnv::GetLongArrayRegion));
  }
  const auto dict =
      make_dict(string_keys ? Kind::String : Kind::Int, element_type(inside.wanted, values), keys, values);
  if (!dict.has_value()) {
    throw IllegalArgument("two keys of a dict are one text in UTF-8, which has no halves of characters");
  }
  return *dict;
}

template <typename T>
T called(JNIEnv* env, T result) {
  check(env);
  return result;
}

AnyValue to_value(JNIEnv* env, jobject value, Place place) {
  refuse_null(value, "a value");
  if (place.above > max_depth) {
    throw IllegalArgument("values are nested more than 64 deep");
  }
  if (auto present = contained_type(place.wanted.get(), Kind::Optional, 0)) {
    place.wanted = std::move(present);
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
      return make_tuple(to_values(env, static_cast<jobjectArray>(data.get()), [&](size_t i) {
        return place.inside(Kind::Tuple, i);
      }));
    case BoolList:
      return make_list(
          plain_type(Kind::Bool), to_numbers<bool>(read_array(env, data.get(), &JNIEnv::GetBooleanArrayRegion)));
    case LongList:
      return make_list(
          plain_type(Kind::Int), to_numbers<int64_t>(read_array(env, data.get(), &JNIEnv::GetLongArrayRegion)));
    case DoubleList:
      return make_list(
          plain_type(Kind::Float), to_numbers<double>(read_array(env, data.get(), &JNIEnv::GetDoubleArrayRegion)));
    case TensorList:
      return to_tensor_list(env, data.get(), place.inside(Kind::List, 0).wanted);
    case List: {
      const Place inside = place.inside(Kind::List, 0);
      auto values =
          to_values(env, static_cast<jobjectArray>(data.get()), [&](size_t) { return inside; });
      const auto type = element_type(inside.wanted, values);
      return make_list(type, std::move(values));
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

template <typename Array, typename Element, typename T>
Local<jobject> make_numbers(
    JNIEnv* env,
    Code code,
    c10::ArrayRef<AnyValue> items,
    T (*read)(const AnyValue&),
    Array (JNIEnv::*create)(jsize),
    void (JNIEnv::*write)(Array, jsize, jsize, const Element*)) {
  std::vector<Element> elements;
  elements.reserve(items.size());
  for (const auto& item : items) {
    elements.push_back(static_cast<Element>(read(item)));
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

Local<jobjectArray> make_values(JNIEnv* env, c10::ArrayRef<AnyValue> values) {
  return make_array(
      env, java.ivalue, values.size(), [&](size_t i) { return to_java_value(env, values[i]); });
}

Local<jobject> make_list(JNIEnv* env, const AnyValue& list) {
  const auto items = items_of(list);
  switch (item_kind(list)) {
    case Kind::Bool:
      return make_numbers(
          env, BoolList, items, to_bool, &JNIEnv::NewBooleanArray, &JNIEnv::SetBooleanArrayRegion);
    case Kind::Int:
      return make_numbers(env, LongList, items, to_int, &JNIEnv::NewLongArray, &JNIEnv::SetLongArrayRegion);
    case Kind::Float:
      return make_numbers(
          env, DoubleList, items, to_float, &JNIEnv::NewDoubleArray, &JNIEnv::SetDoubleArrayRegion);
    case Kind::Tensor: {
      const auto array = make_array(env, java.tensor, items.size(), [&](size_t i) {
        return to_java_tensor(env, torchlite::to_tensor(items[i]));
      });
      return make(env, TensorList, array.get());
    }
    default:
      return make(env, List, make_values(env, items).get());
  }
}

Local<jobject> make_dict(JNIEnv* env, const AnyValue& dict) {
  const Entries entries(dict);
  const auto& keys = entries.keys;
  const auto java_values = make_values(env, entries.items);
  const AnyKind kind = kind_of(*entries.keys_are);
  if (kind == Kind::String) {
    const auto java_keys = make_array(
        env, java.string, keys.size(), [&](size_t i) { return to_java_string(env, to_text(keys[i])); });
    return checked(
        env,
        env->CallStaticObjectMethod(
            java.ivalue, java.make_string_dict, java_keys.get(), java_values.get()));
  }
  if (kind != Kind::Int) {
    throw IllegalArgument("Java has no dictionaries with keys of " + describe_type(*entries.keys_are));
  }
  const auto java_keys = checked(env, env->NewLongArray(size_of(keys.size())));
  for (size_t i = 0; i < keys.size(); i++) {
    const jlong key = to_int(keys[i]);
    env->SetLongArrayRegion(java_keys.get(), size_of(i), 1, &key);
  }
  return checked(
      env,
      env->CallStaticObjectMethod(
          java.ivalue, java.make_long_dict, java_keys.get(), java_values.get()));
}

} // namespace

std::vector<AnyValue> to_arguments(JNIEnv* env, jobjectArray values, const Method& method) {
  env->EnsureLocalCapacity((max_depth + 1) * references_of_one);
  check(env);
  return to_values(env, values, [&](size_t i) -> Place { return {parameter_type(method, i)}; });
}

Local<jobject> to_java_value(JNIEnv* env, const AnyValue& value) {
  switch (kind_of(value)) {
    case Kind::None:
      return make(env, Null, nullptr);
    case Kind::Tensor:
      return make(env, Tensor, to_java_tensor(env, torchlite::to_tensor(value)).get());
    case Kind::Bool: {
      const auto boolean = static_cast<jboolean>(to_bool(value));
      return checked(env, env->CallStaticObjectMethod(java.ivalue, java.make_bool, boolean));
    }
    case Kind::Int: {
      const auto number = static_cast<jlong>(to_int(value));
      return checked(env, env->CallStaticObjectMethod(java.ivalue, java.make_long, number));
    }
    case Kind::Float: {
      const jdouble number = to_float(value);
      return checked(env, env->CallStaticObjectMethod(java.ivalue, java.make_double, number));
    }
    case Kind::String:
      return make(env, String, to_java_string(env, to_text(value)).get());
    case Kind::Tuple:
      return make(env, Tuple, make_values(env, items_of(value)).get());
    case Kind::List:
      return make_list(env, value);
    case Kind::Dict:
      return make_dict(env, value);
    default:
      throw IllegalArgument("Java has no values of type " + name_of_kind(value));
  }
}

} // namespace torchlite::jni
