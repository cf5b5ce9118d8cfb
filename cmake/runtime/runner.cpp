// torchlite-run: runs a lite file on a built runtime, from the command line, through the C API alone.
//
//   torchlite-run MODEL [--method NAME] [--input DTYPE:SIZES:FILE]... --output-dir DIR [--repeat N]
//                 [--threads N] [--seed N]
//   torchlite-run --operators
//
// FILE holds the raw little-endian elements. SIZES is 1x3x224x224, or `scalar`. Outputs go to
// DIR/output.N.bin; one line of JSON on stdout describes them.

#include "torchlite.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

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

struct Input {
  DType dtype;
  std::vector<int64_t> sizes;
  std::vector<char> data;
};

struct Options {
  std::string model;
  std::string method = "forward";
  std::string output_dir;
  std::vector<Input> inputs;
  int repeat = 1;
  int threads = 0;
  int64_t seed = -1;
  bool operators = false;
};

const DType& find_dtype(const std::string& name) {
  for (const auto& dtype : kDTypes) {
    if (name == dtype.name) {
      return dtype;
    }
  }
  throw std::runtime_error("unknown dtype " + name);
}

const DType& find_dtype(torchlite_dtype code) {
  for (const auto& dtype : kDTypes) {
    if (code == dtype.code) {
      return dtype;
    }
  }
  throw std::runtime_error("unknown dtype code");
}

int64_t parse_number(const std::string& text) {
  size_t used = 0;
  const long long value = std::stoll(text, &used);
  if (used != text.size() || value < 0) {
    throw std::runtime_error("not a number: " + text);
  }
  return value;
}

std::vector<int64_t> parse_sizes(const std::string& text) {
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

size_t count_elements(const int64_t* sizes, size_t dims) {
  size_t count = 1;
  for (size_t i = 0; i < dims; i++) {
    count *= static_cast<size_t>(sizes[i]);
  }
  return count;
}

Input parse_input(const std::string& text) {
  const size_t first = text.find(':');
  const size_t second = first == std::string::npos ? first : text.find(':', first + 1);
  if (second == std::string::npos) {
    throw std::runtime_error("not DTYPE:SIZES:FILE: " + text);
  }
  Input input{find_dtype(text.substr(0, first)), parse_sizes(text.substr(first + 1, second - first - 1)), {}};
  const std::string path = text.substr(second + 1);
  std::ifstream stream(path, std::ios::binary);
  if (!stream) {
    throw std::runtime_error("cannot read " + path);
  }
  input.data.assign(std::istreambuf_iterator<char>(stream), {});
  const size_t wanted = count_elements(input.sizes.data(), input.sizes.size()) * input.dtype.size;
  if (input.data.size() != wanted) {
    throw std::runtime_error(path + " has " + std::to_string(input.data.size()) + " bytes, not " +
                             std::to_string(wanted));
  }
  return input;
}

Options parse_options(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; i++) {
    const std::string argument = argv[i];
    auto value = [&]() -> std::string {
      if (i + 1 >= argc) {
        throw std::runtime_error(argument + " takes a value");
      }
      return argv[++i];
    };
    if (argument == "--operators") {
      options.operators = true;
    } else if (argument == "--input") {
      options.inputs.push_back(parse_input(value()));
    } else if (argument == "--output-dir") {
      options.output_dir = value();
    } else if (argument == "--method") {
      options.method = value();
    } else if (argument == "--repeat") {
      options.repeat = static_cast<int>(parse_number(value()));
    } else if (argument == "--threads") {
      options.threads = static_cast<int>(parse_number(value()));
    } else if (argument == "--seed") {
      options.seed = parse_number(value());
    } else if (options.model.empty() && argument.rfind("--", 0) != 0) {
      options.model = argument;
    } else {
      throw std::runtime_error("unknown argument " + argument);
    }
  }
  return options;
}

void check(torchlite_status status) {
  if (status != TORCHLITE_OK) {
    throw std::runtime_error(torchlite_error());
  }
}

void write_outputs(const torchlite_result* result, const std::string& folder, double seconds) {
  std::string json = "{\"outputs\":[";
  for (size_t i = 0; i < torchlite_result_count(result); i++) {
    torchlite_tensor tensor;
    check(torchlite_result_tensor(result, i, &tensor));
    const DType& dtype = find_dtype(tensor.dtype);
    const std::string name = "output." + std::to_string(i) + ".bin";
    std::ofstream stream(folder + "/" + name, std::ios::binary);
    const size_t size = count_elements(tensor.sizes, static_cast<size_t>(tensor.dims)) * dtype.size;
    stream.write(static_cast<const char*>(tensor.data), static_cast<std::streamsize>(size));
    stream.close();
    if (!stream) {
      throw std::runtime_error("cannot write " + folder + "/" + name);
    }
    json += std::string(i > 0 ? "," : "") + "{\"dtype\":\"" + dtype.name + "\",\"file\":\"" + name +
        "\",\"shape\":[";
    for (int32_t d = 0; d < tensor.dims; d++) {
      json += (d > 0 ? "," : "") + std::to_string(tensor.sizes[d]);
    }
    json += "]}";
  }
  std::printf("%s],\"seconds\":%.9f}\n", json.c_str(), seconds);
}

void run(const Options& options) {
  if (options.model.empty() || options.output_dir.empty() || options.repeat < 1) {
    throw std::runtime_error("usage: torchlite-run MODEL --input DTYPE:SIZES:FILE --output-dir DIR");
  }
  check(torchlite_set_threads(options.threads));
  if (options.seed >= 0) {
    check(torchlite_set_seed(static_cast<uint64_t>(options.seed)));
  }
  torchlite_module* module = nullptr;
  check(torchlite_load(options.model.c_str(), &module));
  std::vector<torchlite_tensor> inputs;
  for (const auto& input : options.inputs) {
    inputs.push_back({input.dtype.code, static_cast<int32_t>(input.sizes.size()), input.sizes.data(),
                      input.data.data()});
  }
  double best = 0;
  // A model may keep state: what counts is what the first call gives.
  torchlite_result* first = nullptr;
  for (int i = 0; i < options.repeat; i++) {
    torchlite_result* result = nullptr;
    const auto begin = std::chrono::steady_clock::now();
    check(torchlite_run_method(module, options.method.c_str(), inputs.data(), inputs.size(), &result));
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin;
    best = i == 0 || spent.count() < best ? spent.count() : best;
    if (first == nullptr) {
      first = result;
    } else {
      torchlite_result_free(result);
    }
  }
  write_outputs(first, options.output_dir, best);
  torchlite_result_free(first);
  torchlite_module_free(module);
}

} // namespace

int main(int argc, char** argv) {
  try {
    const Options options = parse_options(argc, argv);
    if (options.operators) {
      for (const char* const* name = torchlite_operators(nullptr); *name != nullptr; name++) {
        std::puts(*name);
      }
      return 0;
    }
    run(options);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "torchlite-run: %s\n", error.what());
    return 1;
  }
}
