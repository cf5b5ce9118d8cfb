// Finds what an unwinder needs to pass a function: its entry in the library's table of frames (.eh_frame of the Linux
// Standard Base, "Exception Frames"). Unwinders find it in a sorted index, .eh_frame_hdr, by a search through all libraries
// of the process. Exceptions of this library end in its interface, so that its own entries are enough, and reading them one
// after the other takes microseconds; the index would be 8 bytes for each function. Linked in front of the unwinder, which
// is a part of the library, by profiles that build for size.

#include <cstddef>
#include <cstdint>

#ifdef __ANDROID__

// The unwinder of an NDK, libunwind or libgcc, asks the loader where the index is, and reads the entries in turn where it
// has no table.

#include <link.h>

extern "C" {

extern const unsigned char torchlite_frame_header[8] __attribute__((visibility("hidden"))); // unwinding.S

// Tells of one library, which is everywhere.
__attribute__((visibility("hidden"))) int dl_iterate_phdr(
    int (*look)(dl_phdr_info*, std::size_t, void*), void* data) {
  ElfW(Phdr) parts[2] = {};
  parts[0].p_type = PT_LOAD;
  parts[0].p_memsz = UINTPTR_MAX;
  parts[1].p_type = PT_GNU_EH_FRAME;
  parts[1].p_vaddr = reinterpret_cast<std::uintptr_t>(torchlite_frame_header);
  parts[1].p_memsz = sizeof torchlite_frame_header;
  dl_phdr_info library{};
  library.dlpi_phdr = parts;
  library.dlpi_phnum = 2;
  // Without what newer loaders count, by which an unwinder would keep what it found.
  return look(&library, offsetof(dl_phdr_info, dlpi_phnum) + sizeof library.dlpi_phnum, data);
}

} // extern "C"

#else

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

#endif
