#include "zip.h"

#include "fault.h"

#include <algorithm>

namespace torchlite::verifier {

namespace {

// PyTorch stores records unpacked. What packed ones may unpack to, all together, is bounded.
constexpr uint64_t unpacked_per_byte = 32;
constexpr uint64_t unpacked_at_least = 1 << 20;

constexpr mz_uint ambiguous = UINT32_MAX;

// Upstream takes a capital letter for its small one.
std::string to_key(std::string name) {
  for (char& c : name) {
    c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return name;
}

} // namespace

size_t Zip::read_at(void* self, mz_uint64 offset, void* to, size_t count) {
  return static_cast<Zip*>(self)->source_.read(offset, to, count) ? count : 0;
}

Zip::Zip(const Source& source)
    : source_(source), limit_(unpacked_at_least + unpacked_per_byte * source.size()) {
  archive_.m_pIO_opaque = this;
  archive_.m_pRead = read_at;
  require(
      mz_zip_reader_init(&archive_, source.size(), MZ_ZIP_FLAG_DO_NOT_SORT_CENTRAL_DIRECTORY),
      "its list of records cannot be read");
  try {
    uint64_t left = limit_;
    const mz_uint count = mz_zip_reader_get_num_files(&archive_);
    require(count > 0, "it has no records");
    for (mz_uint i = 0; i < count; i++) {
      const auto found = describe(i);
      require(
          found.m_uncomp_size <= left && found.m_comp_size <= source.size(),
          "it unpacks to much more than its size");
      // Folders are not unpacked: the memory for such a record would stay what it was.
      require(!found.m_is_directory || found.m_uncomp_size == 0, "a record is a folder");
      left -= found.m_uncomp_size;
      if (found.m_comp_size == found.m_uncomp_size) {
        largest_ = std::max(largest_, found.m_uncomp_size);
      }
      const auto [at, is_new] = records_.emplace(to_key(found.m_filename), i);
      at->second = is_new ? i : ambiguous;
      if (i == 0) {
        folder_ = found.m_filename;
      }
    }
    const size_t slash = folder_.find('/');
    require(slash != std::string::npos, "its records are not in a folder");
    folder_.resize(slash + 1);
  } catch (...) {
    mz_zip_reader_end(&archive_);
    throw;
  }
}

Zip::~Zip() {
  mz_zip_reader_end(&archive_);
}

mz_zip_archive_file_stat Zip::describe(mz_uint index) {
  mz_zip_archive_file_stat found;
  require(mz_zip_reader_file_stat(&archive_, index, &found), "its list of records cannot be read");
  return found;
}

int Zip::find(const std::string& name) {
  const auto found = records_.find(to_key(folder_ + name));
  if (found == records_.end()) {
    return -1;
  }
  require(found->second != ambiguous, "two records have one name"); // upstream would take either
  return static_cast<int>(found->second);
}

bool Zip::has(const std::string& name) {
  return find(name) >= 0;
}

bool Zip::has_any(const char* part) {
  for (mz_uint i = 0; i < mz_zip_reader_get_num_files(&archive_); i++) {
    const auto found = describe(i);
    const std::string_view name = found.m_filename;
    // The folder is no part of a record's name.
    if (name.size() > folder_.size() && name.find(part, folder_.size()) != std::string_view::npos) {
      return true;
    }
  }
  return false;
}

uint64_t Zip::size_of(const std::string& name) {
  const int index = find(name);
  if (index < 0) {
    refuse("record " + name + " is missing");
  }
  return describe(static_cast<mz_uint>(index)).m_uncomp_size;
}

std::string Zip::read(const std::string& name) {
  std::string content(size_of(name), '\0');
  if (!mz_zip_reader_extract_to_mem(
          &archive_, static_cast<mz_uint>(find(name)), content.data(), content.size(), 0)) {
    refuse("record " + name + " cannot be unpacked");
  }
  return content;
}

#ifdef TORCHLITE_OWN_CORE
void Zip::read(const std::string& name, void* to, size_t size) {
  if (!mz_zip_reader_extract_to_mem(&archive_, static_cast<mz_uint>(find(name)), to, size, 0)) {
    refuse("record " + name + " cannot be unpacked");
  }
}
#endif

} // namespace torchlite::verifier
