// Builtins of TorchScript on lists, dicts and strings, as torch/csrc/jit/runtime/register_prim_ops.cpp has them.

#include "builtins.h"

#include "../refusal.h"

#include <algorithm>
#include <cctype>
#include <limits>
#include <stdexcept>

namespace torchlite {

namespace {

Value& item_at(List& list, int64_t index) {
  const int64_t at = to_index(index, list.items.size());
  if (at < 0 || at >= static_cast<int64_t>(list.items.size())) {
    throw std::out_of_range("list index out of range");
  }
  return list.items[static_cast<size_t>(at)];
}

Value pop_item(Stack& stack, const char* when_empty) {
  const int64_t index = pop(stack).to_int();
  const Value held = pop(stack);
  List& list = held.to_list();
  if (list.items.empty()) {
    refuse({when_empty});
  }
  Value item = item_at(list, index);
  list.items.erase(list.items.begin() + to_index(index, list.items.size()));
  return item;
}

Value copy_list(const List& list) {
  return c10::make_intrusive<List>(list.item, list.items);
}

Value repeat(const List& list, int64_t times) {
  auto made = c10::make_intrusive<List>(list.item);
  for (int64_t i = 0; i < times && !list.items.empty(); i++) {
    made->items.insert(made->items.end(), list.items.begin(), list.items.end());
  }
  return made;
}

// What Python's slices mean: where one starts, and how many items it has.
struct Slice {
  int64_t start;
  int64_t count;
  int64_t step;

  static Slice pop(Stack& stack, int64_t length) {
    constexpr int64_t most = std::numeric_limits<int64_t>::max();
    const Value step_value = torchlite::pop(stack);
    const Value end_value = torchlite::pop(stack);
    const Value start_value = torchlite::pop(stack);
    const auto number = [](const Value& value, int64_t otherwise) {
      return value.is(Tag::Int) ? value.to_int() : otherwise;
    };
    const int64_t step = number(step_value, 1);
    int64_t start = number(start_value, most);
    int64_t end = number(end_value, most);
    if (step == 0) {
      refuse({"List slice should have non-zero step"});
    }
    if (step < -most) {
      refuse({"List slice step is out of bounds"});
    }
    const bool back = step < 0;
    start = start == most ? (back ? most : 0) : start;
    end = end == most ? (back ? std::numeric_limits<int64_t>::min() : most) : end;
    const auto clamp = [&](int64_t at) {
      if (at < 0) {
        at += length;
        return at < 0 ? (back ? int64_t{-1} : int64_t{0}) : at;
      }
      return at >= length ? (back ? length - 1 : length) : at;
    };
    start = clamp(start);
    end = clamp(end);
    if (back) {
      return {start, end < start ? (start - end - 1) / -step + 1 : 0, step};
    }
    return {start, start < end ? (end - start - 1) / step + 1 : 0, step};
  }
};

bool is_before(const Value& left, const Value& right) {
  switch (left.tag()) {
    case Tag::Int:
      return left.to_int() < right.to_int();
    case Tag::Float:
      return left.to_float() < right.to_float();
    case Tag::Bool:
      return !left.to_bool() && right.to_bool();
    default:
      return left.to_text() < right.to_text();
  }
}

void sort(std::vector<Value>& items, bool reverse) {
  // All of one kind first: what compares may not end in the middle of a sort.
  for (const auto& item : items) {
    is_before(item, items.front());
    is_before(items.front(), item);
  }
  std::stable_sort(items.begin(), items.end(), [&](const Value& a, const Value& b) {
    return reverse ? is_before(b, a) : is_before(a, b);
  });
}

// Of a call with a text, what it begins or ends with, a start and an end: takes all but the second, and returns the part
// of the text between start and end.
std::string pop_part(Stack& stack) {
  int64_t end = pop(stack).to_int();
  int64_t start = pop(stack).to_int();
  const Value wanted = pop(stack);
  const std::string text = stack.back().to_text();
  const auto size = static_cast<int64_t>(text.size());
  start = start < 0 ? std::max<int64_t>(0, size + start) : start;
  end = end < 0 ? std::max<int64_t>(0, size + end + 1) : end;
  stack.back() = wanted;
  if (start > size) {
    throw std::out_of_range("string index out of range");
  }
  // A negative length is, for PyTorch's call too, one to the end.
  return text.substr(static_cast<size_t>(start), static_cast<size_t>(end - start));
}

[[noreturn]] void refuse_key(const Value& key) {
  refuse({"KeyError: ", to_string(key)});
}

} // namespace

TORCHLITE_OPERATOR(length_of_list, "aten::len.t") {
  stack.back() = stack.back().to_list().items.size();
}

TORCHLITE_OPERATOR(list_item, "aten::__getitem__.t", "aten::select.t") {
  const int64_t index = pop(stack).to_int();
  const Value held = pop(stack);
  stack.push_back(item_at(held.to_list(), index));
}

TORCHLITE_OPERATOR(set_list_item, "aten::_set_item.t") {
  Value item = pop(stack);
  const int64_t index = pop(stack).to_int();
  item_at(stack.back().to_list(), index) = std::move(item);
}

TORCHLITE_OPERATOR(append_item, "aten::append.t") {
  Value item = pop(stack);
  stack.back().to_list().items.push_back(std::move(item));
}

TORCHLITE_OPERATOR(extend_list, "aten::extend.t") {
  const Value other = pop(stack);
  const Value held = pop(stack);
  const std::vector<Value> added = other.to_list().items; // it may be the same list
  auto& items = held.to_list().items;
  items.insert(items.end(), added.begin(), added.end());
}

TORCHLITE_OPERATOR(insert_item, "aten::insert.t") {
  Value item = pop(stack);
  const int64_t index = pop(stack).to_int();
  const Value held = pop(stack);
  auto& items = held.to_list().items;
  const int64_t at = std::clamp<int64_t>(to_index(index, items.size()), 0, static_cast<int64_t>(items.size()));
  items.insert(items.begin() + at, std::move(item));
}

TORCHLITE_OPERATOR(pop_list, "aten::pop.t") {
  stack.push_back(pop_item(stack, "pop from empty list"));
}

TORCHLITE_OPERATOR(delete_item, "aten::Delete.t") {
  pop_item(stack, "pop index out of range");
}

TORCHLITE_OPERATOR(clear_list, "aten::clear.t") {
  const Value held = pop(stack);
  const auto dropped = std::move(held.to_list().items);
  held.to_list().items.clear();
}

TORCHLITE_OPERATOR(reverse_list, "aten::reverse.t") {
  const Value held = pop(stack);
  std::reverse(held.to_list().items.begin(), held.to_list().items.end());
}

TORCHLITE_OPERATOR(copy_of_list, "aten::copy.t", "aten::list.t") {
  stack.back() = copy_list(stack.back().to_list());
}

TORCHLITE_OPERATOR(add_lists, "aten::add.t") {
  const Value right = pop(stack);
  Value made = copy_list(stack.back().to_list());
  const auto& added = right.to_list().items;
  made.to_list().items.insert(made.to_list().items.end(), added.begin(), added.end());
  stack.back() = std::move(made);
}

TORCHLITE_OPERATOR(add_to_list, "aten::add_.t") {
  const Value right = pop(stack);
  const std::vector<Value> added = right.to_list().items;
  auto& items = stack.back().to_list().items;
  items.insert(items.end(), added.begin(), added.end());
}

TORCHLITE_OPERATOR(repeat_list, "aten::mul.left_t") {
  const int64_t times = pop(stack).to_int();
  stack.back() = repeat(stack.back().to_list(), times);
}

TORCHLITE_OPERATOR(repeat_list_right, "aten::mul.right_") {
  const Value list = pop(stack);
  stack.back() = repeat(list.to_list(), stack.back().to_int());
}

TORCHLITE_OPERATOR(slice_list, "aten::slice.t") {
  // The list stands below what says which part of it.
  const Value held = stack[stack.size() - 4];
  const List& list = held.to_list();
  const Slice slice = Slice::pop(stack, static_cast<int64_t>(list.items.size()));
  auto made = c10::make_intrusive<List>(list.item);
  for (int64_t i = 0; i < slice.count; i++) {
    made->items.push_back(list.items[static_cast<size_t>(slice.start + i * slice.step)]);
  }
  stack.back() = Value(std::move(made));
}

TORCHLITE_OPERATOR(sort_list, "aten::sort.int", "aten::sort.float", "aten::sort.bool", "aten::sort.str") {
  const bool reverse = pop(stack).to_bool();
  const Value held = pop(stack);
  sort(held.to_list().items, reverse);
}

TORCHLITE_OPERATOR(sorted_list, "aten::sorted.int", "aten::sorted.float", "aten::sorted.bool", "aten::sorted.str") {
  Value made = copy_list(stack.back().to_list());
  sort(made.to_list().items, false);
  stack.back() = std::move(made);
}

TORCHLITE_OPERATOR(
    list_contains, "aten::__contains__.int_list", "aten::__contains__.float_list", "aten::__contains__.str_list") {
  const Value wanted = pop(stack);
  const auto& items = stack.back().to_list().items;
  stack.back() = std::any_of(items.begin(), items.end(), [&](const Value& item) { return is_equal(item, wanted); });
}

TORCHLITE_OPERATOR(least_item, "prim::min.self_int", "prim::min.self_float", "prim::min.self_bool") {
  const auto& items = stack.back().to_list().items;
  if (items.empty()) {
    fail({"min() arg is an empty sequence"});
  }
  stack.back() = Value(*std::min_element(items.begin(), items.end(), is_before));
}

TORCHLITE_OPERATOR(greatest_item, "prim::max.self_int", "prim::max.self_float", "prim::max.self_bool") {
  const auto& items = stack.back().to_list().items;
  if (items.empty()) {
    fail({"max() arg is an empty sequence"});
  }
  stack.back() = Value(*std::max_element(items.begin(), items.end(), is_before));
}

TORCHLITE_OPERATOR(sum_of_ints, "aten::sum.int") {
  uint64_t sum = 0;
  for (const auto& item : stack.back().to_list().items) {
    sum += static_cast<uint64_t>(item.to_int());
  }
  stack.back() = static_cast<int64_t>(sum);
}

TORCHLITE_OPERATOR(length_of_dict, "aten::len.Dict_str", "aten::len.Dict_int", "aten::len.Dict_bool", "aten::len.Dict_float", "aten::len.Dict_Tensor") {
  stack.back() = stack.back().to_dict().size();
}

TORCHLITE_OPERATOR(keys_of_dict, "aten::keys.str", "aten::keys.int", "aten::keys.bool", "aten::keys.float", "aten::keys.Tensor") {
  const Dict& dict = stack.back().to_dict();
  auto list = c10::make_intrusive<List>(dict.key);
  for (const auto& entry : dict.entries) {
    list->items.push_back(entry.first);
  }
  stack.back() = Value(std::move(list));
}

TORCHLITE_OPERATOR(values_of_dict, "aten::values.str", "aten::values.int", "aten::values.bool", "aten::values.float", "aten::values.Tensor") {
  const Dict& dict = stack.back().to_dict();
  auto list = c10::make_intrusive<List>(dict.item);
  for (const auto& entry : dict.entries) {
    list->items.push_back(entry.second);
  }
  stack.back() = Value(std::move(list));
}

TORCHLITE_OPERATOR(items_of_dict, "aten::items.str", "aten::items.int", "aten::items.bool", "aten::items.float", "aten::items.Tensor") {
  const Dict& dict = stack.back().to_dict();
  auto list = c10::make_intrusive<List>(
      c10::make_intrusive<Type>(TypeKind::Tuple, std::vector<TypePtr>{dict.key, dict.item}));
  for (const auto& [key, item] : dict.entries) {
    list->items.emplace_back(c10::make_intrusive<Tuple>(std::vector<Value>{key, item}));
  }
  stack.back() = Value(std::move(list));
}

TORCHLITE_OPERATOR(dict_item, "aten::__getitem__.Dict_int", "aten::__getitem__.Dict_bool", "aten::__getitem__.Dict_float", "aten::__getitem__.Dict_Tensor") {
  dict_index(stack);
}

TORCHLITE_OPERATOR(dict_get, "aten::get.str", "aten::get.int", "aten::get.bool", "aten::get.float", "aten::get.Tensor") {
  const Value key = pop(stack);
  const Value* found = stack.back().to_dict().find(key);
  stack.back() = found == nullptr ? Value() : Value(*found);
}

TORCHLITE_OPERATOR(dict_get_or, "aten::get.default_str", "aten::get.default_int", "aten::get.default_bool", "aten::get.default_float", "aten::get.default_Tensor") {
  const Value otherwise = pop(stack);
  const Value key = pop(stack);
  const Value* found = stack.back().to_dict().find(key);
  stack.back() = found == nullptr ? otherwise : Value(*found);
}

TORCHLITE_OPERATOR(set_dict_item, "aten::_set_item.str", "aten::_set_item.int", "aten::_set_item.bool", "aten::_set_item.float", "aten::_set_item.Tensor") {
  Value item = pop(stack);
  const Value key = pop(stack);
  const Value held = pop(stack);
  held.to_dict().set(key, std::move(item));
}

TORCHLITE_OPERATOR(dict_contains, "aten::__contains__.str", "aten::__contains__.int", "aten::__contains__.bool", "aten::__contains__.float", "aten::__contains__.Tensor") {
  const Value key = pop(stack);
  stack.back() = stack.back().to_dict().find(key) != nullptr;
}

TORCHLITE_OPERATOR(delete_key, "aten::Delete.Dict_str", "aten::Delete.Dict_int", "aten::Delete.Dict_bool", "aten::Delete.Dict_float", "aten::Delete.Dict_Tensor") {
  const Value key = pop(stack);
  const Value held = pop(stack);
  if (!held.to_dict().erase(key)) {
    refuse_key(key);
  }
}

TORCHLITE_OPERATOR(pop_key, "aten::pop.Dict_str", "aten::pop.Dict_int", "aten::pop.Dict_bool", "aten::pop.Dict_float", "aten::pop.Dict_Tensor") {
  const Value key = pop(stack);
  const Value held = pop(stack);
  const Value* found = held.to_dict().find(key);
  if (found == nullptr) {
    refuse_key(key);
  }
  stack.push_back(*found);
  held.to_dict().erase(key);
}

TORCHLITE_OPERATOR(clear_dict, "aten::clear.str", "aten::clear.int", "aten::clear.bool", "aten::clear.float", "aten::clear.Tensor") {
  const Value held = pop(stack);
  held.to_dict().clear();
}

TORCHLITE_OPERATOR(update_dict, "aten::update.str", "aten::update.int", "aten::update.bool", "aten::update.float", "aten::update.Tensor") {
  const Value other = pop(stack);
  const Value held = pop(stack);
  const std::vector<Dict::Entry> added = other.to_dict().entries; // it may be the same dict
  for (const auto& [key, item] : added) {
    held.to_dict().set(key, item);
  }
}

TORCHLITE_OPERATOR(copy_of_dict, "aten::copy.Dict_str", "aten::copy.Dict_int", "aten::copy.Dict_bool", "aten::copy.Dict_float", "aten::copy.Dict_Tensor", "aten::dict.Dict_str", "aten::dict.Dict_int", "aten::dict.Dict_bool", "aten::dict.Dict_float", "aten::dict.Dict_Tensor") {
  const Value held = stack.back();
  const Dict& dict = held.to_dict();
  auto made = c10::make_intrusive<Dict>(dict.key, dict.item);
  for (const auto& [key, item] : dict.entries) {
    made->set(key, item);
  }
  stack.back() = Value(std::move(made));
}

TORCHLITE_OPERATOR(length_of_text, "aten::len.str") {
  stack.back() = stack.back().to_text().size();
}

TORCHLITE_OPERATOR(add_texts, "aten::add.str") {
  const Value right = pop(stack);
  stack.back() = stack.back().to_text() + right.to_text();
}

TORCHLITE_OPERATOR(text_of_value, "aten::str") {
  stack.back() = to_string(stack.back());
}

TORCHLITE_OPERATOR(character, "aten::__getitem__.str") {
  const int64_t index = pop(stack).to_int();
  const std::string text = stack.back().to_text();
  const int64_t at = to_index(index, text.size());
  if (at < 0 || at >= static_cast<int64_t>(text.size())) {
    throw std::out_of_range("string index out of range");
  }
  stack.back() = std::string(1, text[static_cast<size_t>(at)]);
}

TORCHLITE_OPERATOR(slice_text, "aten::slice.str") {
  const std::string text = stack[stack.size() - 4].to_text();
  const Slice slice = Slice::pop(stack, static_cast<int64_t>(text.size()));
  std::string made;
  for (int64_t i = 0; i < slice.count; i++) {
    made += text[static_cast<size_t>(slice.start + i * slice.step)];
  }
  stack.back() = std::move(made);
}

TORCHLITE_OPERATOR(join_texts, "aten::join") {
  const Value list = pop(stack);
  const std::string between = stack.back().to_text();
  std::string made;
  const auto& items = list.to_list().items;
  for (size_t i = 0; i < items.size(); i++) {
    made += i == 0 ? "" : between;
    made += items[i].to_text();
  }
  stack.back() = std::move(made);
}

TORCHLITE_OPERATOR(code_of_character, "aten::ord") {
  const std::string text = stack.back().to_text();
  if (text.size() != 1) {
    refuse({"String for ord() must be 1 character, found ", std::to_string(text.size())});
  }
  stack.back() = static_cast<int64_t>(static_cast<unsigned char>(text[0]));
}

TORCHLITE_OPERATOR(strip_text, "aten::strip") {
  const std::string dropped = pop(stack).to_text();
  const std::string text = stack.back().to_text();
  const size_t first = text.find_first_not_of(dropped);
  stack.back() = first == std::string::npos ? std::string()
                                            : text.substr(first, text.find_last_not_of(dropped) + 1 - first);
}

TORCHLITE_OPERATOR(starts_with, "aten::startswith") {
  const std::string text = pop_part(stack);
  stack.back() = text.compare(0, stack.back().to_text().size(), stack.back().to_text()) == 0;
}

TORCHLITE_OPERATOR(ends_with, "aten::endswith") {
  const std::string text = pop_part(stack);
  const std::string end = stack.back().to_text();
  stack.back() = text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

TORCHLITE_OPERATOR(split_text, "aten::split.str") {
  const int64_t most = pop(stack).to_int();
  const Value separator = pop(stack);
  const std::string text = stack.back().to_text();
  auto list = c10::make_intrusive<List>(plain_type(TypeKind::String));
  size_t begin = 0;
  if (separator.is_none()) {
    // Each byte of PyTorch's list of white space separates, and what is empty between two is left out.
    constexpr std::string_view white = " \t\n\r\v\f\x1c\x1d\x1e\x85\xe2\x80\xa8\xa9";
    while (begin < text.size()) {
      const size_t end = std::min(text.find_first_of(white, begin), text.size());
      if (end > begin) {
        list->items.emplace_back(text.substr(begin, end - begin));
      }
      begin = end + 1;
    }
  } else {
    const std::string& between = separator.to_text();
    if (between.empty()) {
      fail({"ValueError: empty separator"});
    }
    int64_t count = 0;
    for (size_t at = text.find(between); at != std::string::npos; at = text.find(between, begin)) {
      if (most >= 0 && ++count > most) {
        break;
      }
      list->items.emplace_back(text.substr(begin, at - begin));
      begin = at + between.size();
    }
    list->items.emplace_back(text.substr(begin));
  }
  stack.back() = Value(std::move(list));
}

TORCHLITE_OPERATOR(lower_text, "aten::lower") {
  std::string text = stack.back().to_text();
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  stack.back() = std::move(text);
}

TORCHLITE_OPERATOR(upper_text, "aten::upper") {
  std::string text = stack.back().to_text();
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::toupper(c); });
  stack.back() = std::move(text);
}

} // namespace torchlite
