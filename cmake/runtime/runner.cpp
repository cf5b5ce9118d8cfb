// torchlite-run: runs a lite file on a built runtime, from the command line, through the C API alone. Its help text says
// how it is called. Outputs are numbered as by torchlite_run_method().

#include "runner_values.h"

#include <chrono>
#include <cstdio>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace torchlite::runner {
namespace {

struct Options {
  std::string model;
  std::string method = "forward";
  std::string output_dir;
  // The innermost open group is the last; the first takes the inputs.
  std::vector<Value> open{1};
  int repeat = 1;
  int threads = 0;
  int64_t seed = -1;
  int64_t step_limit = 0;
  bool help = false;
  bool version = false;
  bool operators = false;
  bool profile = false;
};

constexpr char kHelp[] = R"(Runs a method of a lite file (.ptl) and writes its outputs.

usage: torchlite-run MODEL [VALUE]... --output-dir DIR [OPTION]...
       torchlite-run --operators

Inputs of the method, in order. VALUE is one of:
  --input DTYPE:SIZES:FILE   a tensor, e.g. float32:1x3x224x224:image.bin. SIZES of a tensor
                             without dimensions: scalar. FILE has the elements, row-major and
                             little-endian. DTYPE: uint8, int8, int16, int32, int64, float16,
                             float32, float64 or bool
  --bool 0|1, --int N, --float X, --text TEXT, --none
  --list VALUE... --end, --tuple VALUE... --end
  --dict --key KEY VALUE [--key KEY VALUE]... --end

Options:
  --output-dir DIR   write output tensor N, flattened, to DIR/output.N.bin
  --method NAME      the method (default: forward)
  --repeat N         call it N times; the outputs are those of the first call, the time is the best
  --threads N        threads that operators may use (default: the runtime's choice)
  --seed N           seed of random numbers
  --step-limit N     instructions that the model may take in one call (default: any number)
  --profile          make N more calls (--repeat) and print what operators take
  --operators        print the operators of this runtime
  --version          print the versions of PyTorch and of the C API
  --help             print this text

One line of JSON on standard output describes outputs and times. Exit code 1: an error, whose text
is on standard error.
)";

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
    if (argument == "--help" || argument == "-h") {
      options.help = true;
    } else if (argument == "--version") {
      options.version = true;
    } else if (argument == "--operators") {
      options.operators = true;
    } else if (argument == "--profile") {
      options.profile = true;
    } else if (parse_value(argument, options.open, value)) {
      continue;
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
    } else if (argument == "--step-limit") {
      options.step_limit = parse_number(value());
    } else if (options.model.empty() && argument.rfind("--", 0) != 0) {
      options.model = argument;
    } else {
      throw std::runtime_error("unknown argument " + argument + " (all options: torchlite-run --help)");
    }
  }
  return options;
}

void check(torchlite_status status) {
  if (status != TORCHLITE_OK) {
    throw std::runtime_error(torchlite_error());
  }
}

// Returns the outputs as JSON.
std::string write_outputs(const torchlite_result* result, const std::string& folder) {
  std::string json;
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
  return json;
}

// A method and its inputs.
struct Call {
  torchlite_module* module;
  const char* method;
  std::vector<torchlite_value> inputs;

  // Returns the seconds that it took. The first result that *result has room for is the caller's.
  double make(torchlite_result** result) const {
    torchlite_result* made = nullptr;
    const auto begin = std::chrono::steady_clock::now();
    check(torchlite_run_values(module, method, inputs.data(), inputs.size(), &made));
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin;
    if (*result == nullptr) {
      *result = made;
    } else {
      torchlite_result_free(made);
    }
    return spent.count();
  }
};

// Returns what `repeat` more calls and their operators took, as JSON.
std::string profile(const Call& call, int repeat, torchlite_result* first) {
  check(torchlite_profile_start(call.module));
  double seconds = 0;
  for (int i = 0; i < repeat; i++) {
    seconds += call.make(&first);
  }
  const torchlite_operator_time* times = nullptr;
  size_t count = 0;
  check(torchlite_profile_stop(call.module, &times, &count));
  std::string json = "{\"calls\":" + std::to_string(repeat) + ",\"operators\":[";
  for (size_t i = 0; i < count; i++) {
    const std::string overload = times[i].overload;
    json += std::string(i > 0 ? "," : "") + "{\"calls\":" + std::to_string(times[i].calls) + ",\"name\":\"" +
        times[i].name + (overload.empty() ? "" : "." + overload) +
        "\",\"nanoseconds\":" + std::to_string(times[i].nanoseconds) + "}";
  }
  return json + "],\"seconds\":" + std::to_string(seconds) + "}";
}

void run(Options& options) {
  if (options.model.empty() || options.output_dir.empty() || options.repeat < 1) {
    throw std::runtime_error(
        "usage: torchlite-run MODEL --input DTYPE:SIZES:FILE --output-dir DIR (all options: torchlite-run --help)");
  }
  if (options.open.size() > 1) {
    throw std::runtime_error("a group without --end");
  }
  check(torchlite_set_threads(options.threads));
  if (options.seed >= 0) {
    check(torchlite_set_seed(static_cast<uint64_t>(options.seed)));
  }
  if (options.step_limit < 0) {
    throw std::runtime_error("--step-limit takes no negative number");
  }
  check(torchlite_set_step_limit(static_cast<uint64_t>(options.step_limit)));
  torchlite_module* module = nullptr;
  check(torchlite_load(options.model.c_str(), &module));
  Call call{module, options.method.c_str(), {}};
  for (auto& value : options.open.front().items) {
    call.inputs.push_back(show(value));
  }
  double best = 0;
  // A model may keep state: what counts is what the first call gives.
  torchlite_result* first = nullptr;
  for (int i = 0; i < options.repeat; i++) {
    const double spent = call.make(&first);
    best = i == 0 || spent < best ? spent : best;
  }
  const std::string profiled = options.profile ? ",\"profile\":" + profile(call, options.repeat, first) : "";
  const std::string outputs = write_outputs(first, options.output_dir);
  std::printf("{\"outputs\":[%s]%s,\"seconds\":%.9f}\n", outputs.c_str(), profiled.c_str(), best);
  torchlite_result_free(first);
  torchlite_module_free(module);
}

} // namespace
} // namespace torchlite::runner

int main(int argc, char** argv) {
  try {
    auto options = torchlite::runner::parse_options(argc, argv);
    if (options.help) {
      std::fputs(torchlite::runner::kHelp, stdout);
      return 0;
    }
    if (options.version) {
      std::printf("PyTorch %s, C API %d\n", torchlite_version(), static_cast<int>(torchlite_abi_version()));
      return 0;
    }
    if (options.operators) {
      for (const char* const* name = torchlite_operators(nullptr); *name != nullptr; name++) {
        std::puts(*name);
      }
      return 0;
    }
    torchlite::runner::run(options);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "torchlite-run: %s\n", error.what());
    return 1;
  }
}
