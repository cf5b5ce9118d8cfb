#include "pickle.h"

#include "../refusal.h"

#include <c10/core/QScheme.h>
#include <c10/core/ScalarType.h>

#include <algorithm>
#include <cstring>

namespace torchlite::verifier {

namespace {

constexpr const char* shape = "a pickle holds values of unexpected kinds";

int64_t find_dtype(std::string_view name) {
#define TORCHLITE_COMPARE(_, dtype)                    \
  if (name == #dtype "Storage") {                      \
    return static_cast<int64_t>(c10::ScalarType::dtype); \
  }
  AT_FORALL_SCALAR_TYPES_WITH_COMPLEX_AND_QINTS(TORCHLITE_COMPARE)
#undef TORCHLITE_COMPARE
  return -1;
}

int64_t find_scheme(std::string_view name) {
  for (int64_t i = 0; i < c10::COMPILE_TIME_NUM_QSCHEMES; i++) {
    if (name == toString(static_cast<c10::QScheme>(i))) {
      return i;
    }
  }
  return -1;
}

bool starts_with(std::string_view text, std::string_view start) {
  return text.substr(0, start.size()) == start;
}

std::vector<int64_t> integers(const Node& node) {
  std::vector<int64_t> result;
  require(node.count <= max_type_depth, "a tensor has too many dimensions"); // before they are copied
  for (const Node* item : items_of(node, 0)) {
    result.push_back(integer(*item));
  }
  return result;
}

constexpr const char* misplaced = "a pickle has a storage in place of a value";

// A storage belongs to the tensor that is made of it, and what a tensor is made of belongs to nothing else: as values
// they would be tensors that nobody has checked.
void check_storages(const Node& node) {
  bool may_be = node.kind == Kind::Tuple && node.taken;
  for (const Node* item : Items(node)) {
    require(item->kind != Kind::Storage || may_be, misplaced);
    require(item->kind != Kind::Tuple || !item->taken, misplaced);
    may_be = false; // the first only
  }
}

// Returns the levels of a value, and refuses too many and rings.
int measure(Node& node, int above) {
  if (node.height == 0) {
    int height = 1;
    require(above < max_depth, "values are nested too deeply");
    for (const Node* item : Items(node)) {
      // Only the pickle makes nodes, none of them const.
      height = std::max(height, 1 + measure(const_cast<Node&>(*item), above + 1));
    }
    node.height = static_cast<uint8_t>(height);
  }
  require(above + node.height <= max_depth, "values are nested too deeply");
  return node.height;
}

} // namespace

void* Arena::take(size_t bytes) {
  constexpr size_t block = 1 << 15;
  bytes = (bytes + alignof(Node) - 1) / alignof(Node) * alignof(Node);
  if (bytes > left_) {
    left_ = std::max(bytes, block);
    next_ = blocks_.emplace_back(new char[left_]).get();
  }
  char* taken = next_;
  next_ += bytes;
  left_ -= bytes;
  return taken;
}

Items items_of(const Node& node, size_t count) {
  require(node.kind == Kind::Tuple && node.count >= count, shape);
  return Items(node);
}

int64_t integer(const Node& node) {
  require(node.kind == Kind::Int, shape);
  return node.number;
}

std::string_view text_of(const Node& node) {
  require(node.kind == Kind::String, shape);
  return node.text;
}

const Node& Pickle::read() {
  require(bytes(2) == "\x80\x02", "a pickle is not of protocol 2");
  while (step()) {
  }
  require(stack_.size() == 1, "a pickle holds not one value");
  // All of them: what is dropped again is made and destroyed all the same.
  require(stack_.front()->kind != Kind::Storage, misplaced);
  for (Node* node : nodes_) {
    if (node->count > 0) {
      check_storages(*node);
      measure(*node, 0);
    }
  }
  return *stack_.front();
}

// Most of a pickle is read by this.
inline uint8_t Pickle::byte() {
  require(position_ < data_.size(), "a pickle ends too early");
  return static_cast<uint8_t>(data_[position_++]);
}

bool Pickle::step() {
  const auto opcode = static_cast<unsigned char>(byte());
  switch (opcode) {
    case '.':
      return false;
    case '(':
      marks_.push_back(stack_.size());
      break;
    case ']':
      push(Kind::List);
      break;
    case ')':
      push(Kind::Tuple);
      break;
    case '}':
      push(Kind::Dict);
      break;
    case 'N':
      push(Kind::None);
      break;
    case 0x88:
    case 0x89:
#ifdef TORCHLITE_OWN_CORE
      push(Kind::Bool, opcode == 0x88);
#else
      push(Kind::Bool);
#endif
      break;
    case 'K':
      push(Kind::Int, byte());
      break;
    case 'M':
      push(Kind::Int, static_cast<int64_t>(number(2)));
      break;
    case 'J':
      push(Kind::Int, static_cast<int32_t>(number(4)));
      break;
    case 0x8a:
      require(byte() == 8, "an integer is not of 8 bytes");
      push(Kind::Int, static_cast<int64_t>(number(8)));
      break;
    case 'G':
#ifdef TORCHLITE_OWN_CORE
      push(Kind::Float, static_cast<int64_t>(__builtin_bswap64(number(8)))); // its high byte comes first
#else
      bytes(8);
      push(Kind::Float);
#endif
      break;
    case 'X':
      push(Kind::String).text = bytes(number(4));
      break;
    case 0x8d:
      push(Kind::String).text = bytes(number(8));
      break;
    case 'q':
      put(byte());
      break;
    case 'r':
      put(number(4));
      break;
    case 'h':
      get(byte());
      break;
    case 'j':
      get(number(4));
      break;
    case 't':
      tuple(stack_.size() - mark());
      break;
    case 0x85:
    case 0x86:
    case 0x87:
      tuple(opcode - 0x84);
      break;
    case 'a':
      append(stack_.size() - 1);
      break;
    case 'e':
      append(mark());
      break;
    case 'l':
      take_items(Kind::List, mark());
      break;
    case 'd':
      take_items(Kind::Dict, mark());
      break;
    case 's':
      append(stack_.size() - 2);
      break;
    case 'u':
      append(mark());
      break;
    case 'c':
      read_global();
      break;
    case 0x81: // its arguments; the global below makes the object when it is built
      pop();
      break;
    case 'b':
    case 'R':
      call();
      break;
    case 'Q':
      read_storage();
      break;
    default:
      refuse("a pickle has opcode " + std::to_string(opcode));
  }
  return true;
}

Node& Pickle::make(Kind kind, int64_t number) {
  Node* node = new (arena_.take(sizeof(Node))) Node{};
  node->kind = kind;
  node->number = number;
  nodes_.push_back(node);
  return *node;
}

Node& Pickle::push(Kind kind, int64_t number) {
  Node& node = make(kind, number);
  stack_.push_back(&node);
  return node;
}

void Pickle::push(const Node* node) {
  stack_.push_back(node);
}

const Node& Pickle::pop() {
  // What stands below an open mark belongs to who opened it.
  require(stack_.size() > (marks_.empty() ? 0 : marks_.back()), "a pickle takes more than it has");
  const Node& top = *stack_.back();
  stack_.pop_back();
  return top;
}

std::string_view Pickle::bytes(uint64_t count) {
  require(count <= data_.size() - position_, "a pickle ends too early");
  const std::string_view found = data_.substr(position_, count);
  position_ += count;
  return found;
}

uint64_t Pickle::number(size_t count) { // little-endian, as every target is
  uint64_t value = 0;
  std::memcpy(&value, bytes(count).data(), count);
  return value;
}

std::string_view Pickle::line() {
  const size_t end = data_.find('\n', position_);
  require(end != std::string_view::npos, "a pickle ends too early");
  const std::string_view found = bytes(end - position_);
  bytes(1);
  return found;
}

void Pickle::put(uint64_t index) {
  require(!stack_.empty() && index < data_.size(), "a pickle's memo is too large");
  if (index >= memo_.size()) {
    memo_.resize(index + 1);
  }
  memo_[index] = stack_.back();
}

void Pickle::get(uint64_t index) {
  require(index < memo_.size() && memo_[index] != nullptr, "a pickle refers to what it lacks");
  push(memo_[index]);
}

size_t Pickle::mark() {
  require(!marks_.empty() && marks_.back() <= stack_.size(), "a pickle has no mark");
  const size_t at = marks_.back();
  marks_.pop_back();
  return at;
}

void Pickle::tuple(size_t count) {
  require(count <= stack_.size(), "a pickle takes more than it has");
  take_items(Kind::Tuple, stack_.size() - count);
}

// Makes a value of what stands on the stack from `first` on.
void Pickle::take_items(Kind kind, size_t first) {
  Node& node = make(kind);
  add_items(node, first);
  push(&node);
}

void Pickle::add_items(Node& node, size_t first) {
  const size_t added = stack_.size() - first;
  const size_t count = node.count + added;
  if (count > node.room) {
    // A list that grows item by item is copied a few times, not each time.
    node.room = static_cast<uint32_t>(node.count == 0 ? count : 2 * count);
    auto** items = static_cast<const Node**>(arena_.take(node.room * sizeof(Node*)));
    std::copy_n(node.items, node.count, items);
    node.items = items;
  }
  std::copy(stack_.begin() + static_cast<ptrdiff_t>(first), stack_.end(), node.items + node.count);
  node.count = static_cast<uint32_t>(count);
  require(node.kind != Kind::Dict || count % 2 == 0, shape);
#ifdef TORCHLITE_OWN_CORE
  for (size_t i = first; i < stack_.size(); i++) {
    const_cast<Node*>(stack_[i])->uses++;
  }
#endif
  stack_.resize(first);
}

// Adds what stands on the stack from `first` on to the list or dict below.
void Pickle::append(size_t first) {
  require(first >= 1 && first <= stack_.size(), "a pickle takes more than it has");
  auto& group = const_cast<Node&>(*stack_[first - 1]);
  require(group.kind == Kind::List || group.kind == Kind::Dict, shape);
  add_items(group, first);
}

void Pickle::read_global() {
  struct Known {
    std::string_view module, name;
    Builder builder;
  };
  static constexpr Known table[] = {
      {"torch.jit._pickle", "build_intlist", IntList},
      {"torch.jit._pickle", "build_tensorlist", TensorList},
      {"torch.jit._pickle", "build_doublelist", FloatList},
      {"torch.jit._pickle", "build_boollist", BoolList},
      {"torch.jit._pickle", "restore_type_tag", TypeTag},
      {"torch._utils", "_rebuild_tensor_v2", PlainTensor},
      {"torch._utils", "_rebuild_qtensor", QuantisedTensor},
      {"builtins", "complex", Complex},
      {"collections", "OrderedDict", OrderedDict},
      {"torch", "device", Device},
  };
  const std::string_view module = line();
  const std::string_view name = line();
  for (const Known& known : table) {
    if (module == known.module && name == known.name) {
      push(Kind::Global, known.builder);
      return;
    }
  }
  if (const int64_t dtype = find_dtype(name); module == "torch" && dtype >= 0) {
    push(Kind::Dtype, dtype);
  } else if (const int64_t scheme = find_scheme(name); module == "torch" && scheme >= 0) {
    push(Kind::Int, scheme);
  } else {
    // Upstream takes other names for types, and some of those for null pointers.
    const bool known = starts_with(module, "__torch__") || starts_with(module, "torch.jit");
    require(known && !name.empty(), "a pickle names a class that no lite file has");
    Node& global = push(Kind::Global, Class);
    // Both names stand in the pickle, with one character between them.
    global.text = std::string_view(module.data(), module.size() + 1 + name.size());
  }
}

// (storage, dtype, key, device, number of elements)
void Pickle::read_storage() {
#ifdef TORCHLITE_OWN_CORE
  const Node& argument = pop();
  const Items items = items_of(argument, 5);
#else
  const Items items = items_of(pop(), 5);
#endif
  require(text_of(items[0]) == "storage" && items[1].kind == Kind::Dtype, shape);
  const std::string_view device = text_of(items[3]);
  if (device != "cpu") {
    fail({"the model has a tensor on ", device, ": export it on the CPU"});
  }
  const auto dtype = static_cast<c10::ScalarType>(items[1].number);
  const auto width = static_cast<int64_t>(c10::elementSize(dtype));
  const int64_t elements = integer(items[4]);
  int64_t size = 0;
  require(
      elements >= 0 && !__builtin_mul_overflow(elements, width, &size) &&
          (elements == 0 ||
           static_cast<uint64_t>(size) <= records_.storage_bytes(text_of(items[2]))),
      "a storage is larger than its record");
  Node& storage = push(Kind::Storage, elements * elements_per_unit(items[1].number));
  storage.quantised = c10::isQIntType(dtype);
#ifdef TORCHLITE_OWN_CORE
  storage.made_of = &argument;
#endif
}

void Pickle::call() {
  const Node& argument = pop();
  const Node& global = pop();
  require(global.kind == Kind::Global, shape);
  push(&build(global, argument));
}

const Node& Pickle::build(const Node& global, const Node& argument) {
  switch (global.number) {
    case IntList:
      return build_list(argument, Kind::Int);
    case TensorList:
      return build_list(argument, Kind::Tensor);
    case FloatList:
      return build_list(argument, Kind::Float);
    case BoolList:
      return build_list(argument, Kind::Bool);
    case TypeTag:
      return build_tagged(argument);
    case PlainTensor:
    case QuantisedTensor:
      return build_tensor(argument, global.number == QuantisedTensor);
    case OrderedDict:
      return make(Kind::None);
    case Complex:
    case Device:
#ifdef TORCHLITE_OWN_CORE
    {
      const Node& first = items_of(argument, 1)[0];
      Node& other = make(Kind::Other);
      other.text = first.kind == Kind::String ? first.text : std::string_view();
      return other;
    }
#else
      items_of(argument, 1);
      return make(Kind::Other);
#endif
    default:
      return build_object(global, argument);
  }
}

const Node& Pickle::build_list(const Node& argument, Kind element) {
  const Node& list = items_of(argument, 1)[0];
  require(list.kind == Kind::List, shape);
  budget_.spend(list.count);
  for (const Node* item : Items(list)) {
    require(item->kind == element, shape);
  }
#ifdef TORCHLITE_OWN_CORE
  const_cast<Node&>(list).text = element == Kind::Int ? "List[int]"
      : element == Kind::Tensor                       ? "List[Tensor]"
      : element == Kind::Float                        ? "List[float]"
                                                      : "List[bool]";
#endif
  return list;
}

// (a list or dict, the text of its type)
const Node& Pickle::build_tagged(const Node& argument) {
  const Items items = items_of(argument, 2);
  const std::string_view type = text_of(items[1]);
  check_type(type, TypePlace::Table, budget_);
  require(
      (items[0].kind == Kind::List && starts_with(type, "List[")) ||
          (items[0].kind == Kind::Dict && starts_with(type, "Dict[")),
      shape);
#ifdef TORCHLITE_OWN_CORE
  const_cast<Node&>(items[0]).text = type;
#endif
  return items[0];
}

// (storage, offset, sizes, strides, [quantisation,] requires_grad, hooks[, metadata])
const Node& Pickle::build_tensor(const Node& argument, bool quantised) {
  const Items items = items_of(argument, quantised ? 7 : 6);
  const Node& storage = items[0];
  require(storage.kind == Kind::Storage && storage.quantised == quantised, shape);
  argument.taken = true;
  const auto sizes = integers(items[2]);
  const auto strides = integers(items[3]);
  require(sizes.size() == strides.size(), shape);
  const int64_t elements = check_extent(
      integer(items[1]),
      sizes.data(),
      strides.data(),
      sizes.size(),
      static_cast<uint64_t>(storage.number));
  if (!quantised && items.size() > 6) { // bits of lazy conjugates and negatives, which no kernel here knows
    require(items[6].kind == Kind::Dict && items[6].count == 0, "a tensor is a lazy conjugate");
  }
  if (quantised) {
    const Items parameters = items_of(items[4], 3);
    const auto scheme = static_cast<c10::QScheme>(integer(parameters[0]));
    if (scheme != c10::kPerTensorAffine) {
      items_of(items[4], 4);
      require(parameters[1].kind == Kind::Tensor && parameters[2].kind == Kind::Tensor, shape);
      check_channels(
          integer(parameters[3]),
          sizes.data(),
          sizes.size(),
          parameters[1].number,
          parameters[2].number);
    }
  }
#ifdef TORCHLITE_OWN_CORE
  Node& tensor = make(Kind::Tensor, sizes.size() == 1 ? elements : -1);
  tensor.made_of = &argument;
  return tensor;
#else
  return make(Kind::Tensor, sizes.size() == 1 ? elements : -1);
#endif
}

const Node& Pickle::build_object(const Node& global, const Node& state) {
  budget_.spend(1 + global.text.size() / 16 + state.count); // objects may share both
  std::string name(global.text);
  name[name.find('\n')] = '.';
  records_.check_object(name, state);
  stack_.push_back(&state);
  Node& object = make(Kind::Object);
#ifdef TORCHLITE_OWN_CORE
  object.text = global.text;
#endif
  add_items(object, stack_.size() - 1);
  return object;
}

} // namespace torchlite::verifier
