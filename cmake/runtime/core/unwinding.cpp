// Finds what the unwinder of libgcc needs to pass a function: its entry in the library's table of frames (.eh_frame of
// the Linux Standard Base, "Exception Frames"). libgcc finds it in a sorted index, .eh_frame_hdr, by a search through
// all libraries of the process. Exceptions of this library end in its interface, so that its own entries are enough,
// and reading them one after the other takes microseconds; the index would be 8 bytes for each function. Linked in
// front of libgcc_eh.a by profiles that build for size.

#include <cstdint>
#include <cstring>

extern "C" {

extern const unsigned char torchlite_frames[] __attribute__((visibility("hidden"))); // unwinding.S

// What libgcc's unwinder reads (unwind-dw2-fde.h).
struct dwarf_eh_bases {
  void* tbase;
  void* dbase;
  void* func;
};

const void* _Unwind_Find_FDE(void* place, dwarf_eh_bases* bases);
}

namespace {

template <typename T>
T read_as(const unsigned char* at) {
  T value;
  std::memcpy(&value, at, sizeof(value));
  return value;
}

constexpr unsigned char relative_4_bytes = 0x1b; // DW_EH_PE_pcrel | DW_EH_PE_sdata4

const unsigned char* skip_number(const unsigned char* at) { // LEB128
  while ((*at++ & 0x80) != 0) {
  }
  return at;
}

// How a common entry says that its functions' addresses are written.
unsigned char encoding_of(const unsigned char* common) {
  const auto* letters = reinterpret_cast<const char*>(common) + 9; // behind length, number and version
  if (letters[0] != 'z') {
    return 0;
  }
  const unsigned char* at = common + 9 + std::strlen(letters) + 1;
  at = skip_number(skip_number(at)); // alignments of code and data
  at = skip_number(skip_number(at)); // the return address's register; how long the following is
  for (letters++; *letters != '\0'; letters++) {
    if (*letters == 'R') {
      return *at;
    }
    if (*letters == 'P') {
      const unsigned char encoding = *at++;
      const unsigned char width = encoding & 7;
      at += width == 3 ? 4 : width == 2 ? 2 : sizeof(void*);
    } else if (*letters == 'L') {
      at++;
    }
  }
  return 0;
}

} // namespace

const void* _Unwind_Find_FDE(void* place, dwarf_eh_bases* bases) {
  const auto wanted = reinterpret_cast<std::uintptr_t>(place);
  const unsigned char* known = nullptr;
  unsigned char encoding = 0;
  for (const unsigned char* at = torchlite_frames;;) {
    const auto length = read_as<std::uint32_t>(at);
    if (length == 0) { // the end
      return nullptr;
    }
    const auto back = read_as<std::uint32_t>(at + 4);
    if (back != 0) { // of a function
      const unsigned char* common = at + 4 - back;
      if (common != known) {
        known = common;
        encoding = encoding_of(common);
      }
      if (encoding == relative_4_bytes) {
        const auto start = reinterpret_cast<std::uintptr_t>(at + 8) + static_cast<std::intptr_t>(read_as<std::int32_t>(at + 8));
        if (wanted - start < read_as<std::uint32_t>(at + 12)) {
          *bases = {nullptr, nullptr, reinterpret_cast<void*>(start)};
          return at;
        }
      }
    }
    at += 4 + length;
  }
}
