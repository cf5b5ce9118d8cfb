// Types of items of tensors, for runtimes with builder's own core. Upstream's unit registers types of other things
// too, which no tensor has, with functions that make and copy arrays of them.

#include <c10/util/Exception.h>
#include <c10/util/typeid.h>

namespace caffe2 {

namespace detail {

void _ThrowRuntimeTypeLogicError(const std::string& text) {
  TORCH_CHECK(false, text);
}

} // namespace detail

void TypeMeta::error_unsupported_typemeta(TypeMeta dtype) {
  TORCH_CHECK(false, "no tensor has items of the type ", dtype);
}

std::mutex& TypeMeta::getTypeMetaDatasLock() {
  static std::mutex lock;
  return lock;
}

uint16_t TypeMeta::nextTypeIndex(NumScalarTypes);

detail::TypeMetaData* TypeMeta::typeMetaDatas() {
  // Items are memory without constructors: kernels write all of it.
#define TORCHLITE_ITEM(type, name)         \
  detail::TypeMetaData(                    \
      sizeof(type),                        \
      nullptr,                             \
      nullptr,                             \
      nullptr,                             \
      nullptr,                             \
      nullptr,                             \
      TypeIdentifier::Get<type>(),         \
      #type),
  static detail::TypeMetaData types[] = {
      AT_FORALL_SCALAR_TYPES_WITH_COMPLEX_AND_QINTS(TORCHLITE_ITEM) detail::TypeMetaData(), // and "undefined"
  };
#undef TORCHLITE_ITEM
  static_assert(sizeof(types) / sizeof(*types) == NumScalarTypes);
  return types;
}

uint16_t TypeMeta::existingMetaDataIndexForType(TypeIdentifier identifier) {
  const auto* types = typeMetaDatas();
  for (uint16_t index = 0; index < NumScalarTypes; index++) {
    if (types[index].id_ == identifier) {
      return index;
    }
  }
  return MaxTypeIndex;
}

} // namespace caffe2
