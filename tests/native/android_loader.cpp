// A program for the loaders of Android: exceptions, threads and their variables, the C++ library, and
// pointers that the loader has to relocate.

#include <cstdio>
#include <regex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>

namespace {

thread_local int local = 5;

struct Step {
  virtual ~Step() = default;
  virtual int take(int from) const {
    return from + 1;
  }
};

const Step kStep{};
const Step* volatile kSteps[300];

// Each element is a pointer to a pointer, so the file has as many relocations.
template <size_t... Index>
struct Table {
  static const Step* const* const kEntries[sizeof...(Index)];
};
template <size_t... Index>
const Step* const* const Table<Index...>::kEntries[sizeof...(Index)] = {
    (static_cast<void>(Index), const_cast<const Step* const*>(&kSteps[Index]))...};

template <size_t... Index>
const Step* const* const* fill(std::index_sequence<Index...>) {
  return Table<Index...>::kEntries;
}

} // namespace

int main() {
  std::ostringstream said;
  try {
    throw std::runtime_error("thrown");
  } catch (const std::exception& error) {
    said << error.what();
  }
  std::thread([] { local = 7; }).join();
  said << " " << 1.5 << std::regex_replace(std::string("a1b2"), std::regex("[0-9]"), "-") << " " << local;
  const auto* entries = fill(std::make_index_sequence<300>());
  int taken = 0;
  for (size_t i = 0; i < 300; i++) {
    kSteps[i] = &kStep;
    taken = (*entries[i])->take(taken);
  }
  std::printf("%s %d\n", said.str().c_str(), taken);
  return 0;
}
