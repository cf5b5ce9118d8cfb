// The values of the runner's command line, and how it shows those of the C API.

#pragma once

#include "torchlite.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace torchlite::runner {

struct DType {
  const char* name;
  torchlite_dtype code;
  size_t size;
};

constexpr DType kDTypes[] = {
    {"uint8", TORCHLITE_UINT8, 1},
    {"int8", TORCHLITE_INT8, 1},
    {"int16", TORCHLITE_INT16, 2},
    {"int32", TORCHLITE_INT32, 4},
    {"int64", TORCHLITE_INT64, 8},
    {"float16", TORCHLITE_FLOAT16, 2},
    {"float32", TORCHLITE_FLOAT32, 4},
    {"float64", TORCHLITE_FLOAT64, 8},
    {"bool", TORCHLITE_BOOL, 1},
};

struct Value {
  torchlite_kind kind = TORCHLITE_VALUE_NONE;
  torchlite_dtype dtype = TORCHLITE_FLOAT32;
  std::vector<int64_t> sizes;
  std::vector<char> data;
  int64_t integer = 0;
  double real = 0;
  std::string text;
  std::vector<Value> items;
  std::vector<std::string> keys;
  // What the C API is shown of them.
  std::vector<torchlite_value> shown;
  std::vector<const char*> names;
};

inline const DType& find_dtype(const std::string& name) {
  for (const auto& dtype : kDTypes) {
    if (name == dtype.name) {
      return dtype;
    }
  }
  throw std::runtime_error("unknown dtype " + name);
}

inline const DType& find_dtype(torchlite_dtype code) {
  for (const auto& dtype : kDTypes) {
    if (code == dtype.code) {
      return dtype;
    }
  }
  throw std::runtime_error("unknown dtype code");
}

// `parse` is std::stoll or std::stod, whose own errors name only themselves.
template <typename Parse>
auto parse_whole(const std::string& text, const char* what, Parse&& parse) {
  try {
    size_t used = 0;
    const auto value = parse(text, &used);
    if (used == text.size()) {
      return value;
    }
  } catch (const std::logic_error&) {
  }
  throw std::runtime_error("'" + text + "' is not " + what);
}

inline int64_t parse_integer(const std::string& text) {
  return parse_whole(text, "an integer of 64 bits", [](const std::string& given, size_t* used) {
    return static_cast<int64_t>(std::stoll(given, used));
  });
}

inline int64_t parse_number(const std::string& text) {
  const int64_t value = parse_integer(text);
  if (value < 0) {
    throw std::runtime_error("'" + text + "' is negative");
  }
  return value;
}

inline std::vector<int64_t> parse_sizes(const std::string& text) {
  std::vector<int64_t> sizes;
  if (text == "scalar") {
    return sizes;
  }
  size_t begin = 0;
  while (begin <= text.size()) {
    const size_t end = std::min(text.find('x', begin), text.size());
    sizes.push_back(parse_number(text.substr(begin, end - begin)));
    begin = end + 1;
  }
  return sizes;
}

inline size_t count_elements(const int64_t* sizes, size_t dims) {
  size_t count = 1;
  for (size_t i = 0; i < dims; i++) {
    if (__builtin_mul_overflow(count, static_cast<size_t>(sizes[i]), &count)) {
      throw std::runtime_error("a tensor of that many elements does not fit into memory");
    }
  }
  return count;
}

inline Value parse_tensor(const std::string& text) {
  const size_t first = text.find(':');
  const size_t second = first == std::string::npos ? first : text.find(':', first + 1);
  if (second == std::string::npos) {
    throw std::runtime_error("not DTYPE:SIZES:FILE: " + text);
  }
  const DType& dtype = find_dtype(text.substr(0, first));
  Value value;
  value.kind = TORCHLITE_VALUE_TENSOR;
  value.dtype = dtype.code;
  value.sizes = parse_sizes(text.substr(first + 1, second - first - 1));
  const std::string path = text.substr(second + 1);
  std::ifstream stream(path, std::ios::binary);
  if (!stream) {
    throw std::runtime_error("cannot read " + path);
  }
  std::vector<int64_t> sizes = value.sizes;
  sizes.push_back(static_cast<int64_t>(dtype.size));
  const size_t wanted = count_elements(sizes.data(), sizes.size());
  // A device has no end, so no more is read than the tensor takes.
  auto at = std::istreambuf_iterator<char>(stream);
  for (const std::istreambuf_iterator<char> end; at != end && value.data.size() <= wanted; ++at) {
    value.data.push_back(*at);
  }
  if (value.data.size() != wanted) {
    throw std::runtime_error(
        path + " has " + (value.data.size() > wanted ? "more" : "less") + " than the " +
        std::to_string(wanted) + " bytes of " + text.substr(0, second));
  }
  return value;
}

inline Value parse_leaf(torchlite_kind kind, const std::string& text) {
  Value value;
  value.kind = kind;
  value.text = text;
  if (kind == TORCHLITE_VALUE_FLOAT) {
    value.real = parse_whole(
        text, "a number", [](const std::string& given, size_t* used) { return std::stod(given, used); });
  } else if (kind != TORCHLITE_VALUE_STRING) {
    value.integer = parse_integer(text);
  }
  return value;
}

inline Value make_group(torchlite_kind kind) {
  Value value;
  value.kind = kind;
  return value;
}

inline void close_group(std::vector<Value>& open) {
  if (open.size() < 2) {
    throw std::runtime_error("--end of nothing");
  }
  Value group = std::move(open.back());
  open.pop_back();
  if (group.kind == TORCHLITE_VALUE_DICT && group.keys.size() != group.items.size()) {
    throw std::runtime_error("a dict takes a --key in front of each value");
  }
  open.back().items.push_back(std::move(group));
}

// Takes the part of the command line that is values; false when `argument` is none.
template <typename Next>
bool parse_value(const std::string& argument, std::vector<Value>& open, Next&& next) {
  std::vector<Value>& items = open.back().items;
  if (argument == "--input") {
    items.push_back(parse_tensor(next()));
  } else if (argument == "--bool") {
    items.push_back(parse_leaf(TORCHLITE_VALUE_BOOL, next()));
  } else if (argument == "--int") {
    items.push_back(parse_leaf(TORCHLITE_VALUE_INT, next()));
  } else if (argument == "--float") {
    items.push_back(parse_leaf(TORCHLITE_VALUE_FLOAT, next()));
  } else if (argument == "--text") {
    items.push_back(parse_leaf(TORCHLITE_VALUE_STRING, next()));
  } else if (argument == "--none") {
    items.push_back(make_group(TORCHLITE_VALUE_NONE));
  } else if (argument == "--list") {
    open.push_back(make_group(TORCHLITE_VALUE_LIST));
  } else if (argument == "--tuple") {
    open.push_back(make_group(TORCHLITE_VALUE_TUPLE));
  } else if (argument == "--dict") {
    open.push_back(make_group(TORCHLITE_VALUE_DICT));
  } else if (argument == "--key") {
    open.back().keys.push_back(next());
  } else if (argument == "--end") {
    close_group(open);
  } else {
    return false;
  }
  return true;
}

inline torchlite_value show(Value& value) {
  torchlite_value shown{};
  shown.kind = value.kind;
  switch (value.kind) {
    case TORCHLITE_VALUE_NONE:
      break;
    case TORCHLITE_VALUE_TENSOR:
      shown.as.tensor = {value.dtype, static_cast<int32_t>(value.sizes.size()), value.sizes.data(),
                         value.data.data()};
      break;
    case TORCHLITE_VALUE_BOOL:
    case TORCHLITE_VALUE_INT:
      shown.as.integer = value.integer;
      break;
    case TORCHLITE_VALUE_FLOAT:
      shown.as.real = value.real;
      break;
    case TORCHLITE_VALUE_STRING:
      shown.as.text = value.text.c_str();
      break;
    default:
      for (auto& item : value.items) {
        value.shown.push_back(show(item));
      }
      for (const auto& key : value.keys) {
        value.names.push_back(key.c_str());
      }
      shown.as.group = {value.items.size(), value.shown.data(), value.names.data()};
  }
  return shown;
}

} // namespace torchlite::runner
