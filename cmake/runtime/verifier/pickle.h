// A pickle of a lite file as plain values: read by the rules of the runtime's unpickler
// (torch/csrc/jit/serialization/unpickler.cpp), but without making tensors or objects.

#pragma once

#include "fault.h"

#include <cstdint>
#include <deque>
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
  Kind kind = Kind::None;
  uint8_t height = 0; // levels below and with it; 0 while unknown
  bool quantised = false; // of a storage
  int64_t number = 0;
  std::string_view text; // into the pickle; of a class, its name
  std::vector<const Node*> items;
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
  uint64_t number(size_t bytes);
  std::string_view bytes(uint64_t count);
  std::string_view line();
  void put(uint64_t index);
  void get(uint64_t index);
  size_t mark();
  void tuple(size_t count);
  void take_items(Kind kind, size_t first);
  void append(size_t first);
  void read_global();
  void read_storage();
  void call();
  const Node& build(const Node& global, const Node& argument);
  const Node& build_list(const Node& argument, Kind element);
  const Node& build_tagged(const Node& argument);
  const Node& build_tensor(const Node& argument, bool quantised);
  const Node& build_object(const Node& global, const Node& state);
  Node& make(Kind kind, int64_t number = 0);
  int measure(const Node& node, int above);

  std::string_view data_;
  size_t position_ = 0;
  Records& records_;
  Budget& budget_;
  std::deque<Node> nodes_;
  std::vector<const Node*> stack_;
  std::vector<const Node*> memo_;
  std::vector<size_t> marks_;
};

// The items of a tuple of at least `count`; refuses anything else.
const std::vector<const Node*>& items_of(const Node& node, size_t count);

// The value of a node that has to be of a kind.
int64_t integer(const Node& node);
std::string_view text_of(const Node& node);

} // namespace torchlite::verifier
