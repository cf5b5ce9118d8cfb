// A pickle of a lite file as plain values: read by the rules of the runtime's unpickler
// (torch/csrc/jit/serialization/unpickler.cpp), but without making tensors or objects.

#pragma once

#include "fault.h"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace torchlite::verifier {

enum class Kind : uint8_t {
  None,
  Bool,
  Int,
  Float,
  String,
  Tuple,
  List,
  Dict, // keys and values by turns
  Storage, // number: its elements
  Tensor, // number: its elements, or -1 unless it has one dimension
  Dtype, // number: of c10::ScalarType
  Global, // number: a Builder
  Object,
  Other, // a complex number, a device
};

struct Node {
  Kind kind;
  uint8_t height; // levels below and with it; 0 while unknown
  bool quantised; // of a storage
  mutable bool taken; // of a tuple: its items are somebody's who takes them once
  uint32_t count; // of items
  uint32_t room; // for items
  int64_t number;
  std::string_view text; // into the pickle; of a class, its name
  const Node** items;
#ifdef TORCHLITE_OWN_CORE
  // For builder's own core, which makes values of the nodes: what a tensor or a storage was made of. There, `number` has
  // the bits of a float and says which bool it is, and `text` is the type of a list or dict, if the file says it, the class
  // of an object, and the name of a device.
  const Node* made_of;
  uint32_t uses; // places that it stands in
#endif
};

// The items of a value.
class Items {
 public:
  explicit Items(const Node& node) : data_(node.items), size_(node.count) {}

  size_t size() const {
    return size_;
  }
  const Node& operator[](size_t index) const {
    return *data_[index];
  }
  const Node* const* begin() const {
    return data_;
  }
  const Node* const* end() const {
    return data_ + size_;
  }

 private:
  const Node* const* data_;
  size_t size_;
};

// Memory that goes all at once.
class Arena {
 public:
  void* take(size_t bytes);

 private:
  std::vector<std::unique_ptr<char[]>> blocks_;
  char* next_ = nullptr;
  size_t left_ = 0;
};

// What a pickle is read with.
class Records {
 public:
  virtual ~Records() = default;
  // Bytes of the record of a storage; refuses one that is not there. Counts as read.
  virtual uint64_t storage_bytes(std::string_view key) = 0;
  // Refuses an object of class `name` that cannot be made of `state`.
  virtual void check_object(const std::string& name, const Node& state) = 0;
};

class Pickle {
 public:
  Pickle(std::string_view data, Records& records, Budget& budget)
      : data_(data), records_(records), budget_(budget) {}

  // Returns the value, which lives as long as this.
  const Node& read();

 private:
  enum Builder : int64_t { // what calling a global makes
    IntList,
    TensorList,
    FloatList,
    BoolList,
    TypeTag,
    PlainTensor,
    QuantisedTensor,
    Complex,
    OrderedDict,
    Device,
    Class,
  };

  bool step();
  Node& push(Kind kind, int64_t number = 0);
  void push(const Node* node);
  const Node& pop();
  uint8_t byte();
  uint64_t number(size_t bytes);
  std::string_view bytes(uint64_t count);
  std::string_view line();
  void put(uint64_t index);
  void get(uint64_t index);
  size_t mark();
  void tuple(size_t count);
  void take_items(Kind kind, size_t first);
  void append(size_t first);
  void add_items(Node& node, size_t first);
  void read_global();
  void read_storage();
  void call();
  const Node& build(const Node& global, const Node& argument);
  const Node& build_list(const Node& argument, Kind element);
  const Node& build_tagged(const Node& argument);
  const Node& build_tensor(const Node& argument, bool quantised);
  const Node& build_object(const Node& global, const Node& state);
  Node& make(Kind kind, int64_t number = 0);

  std::string_view data_;
  size_t position_ = 0;
  Records& records_;
  Budget& budget_;
  Arena arena_;
  std::vector<Node*> nodes_;
  std::vector<const Node*> stack_;
  std::vector<const Node*> memo_;
  std::vector<size_t> marks_;
};

// The items of a tuple of at least `count`; refuses anything else.
Items items_of(const Node& node, size_t count);

// The value of a node that has to be of a kind.
int64_t integer(const Node& node);
std::string_view text_of(const Node& node);

} // namespace torchlite::verifier
