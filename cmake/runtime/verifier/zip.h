// The records of a zip, as upstream's reader (caffe2/serialize/inline_container.cc) finds them.

#pragma once

#include "../source.h"

#include <miniz.h>

#include <cstdint>
#include <string>
#include <unordered_map>

namespace torchlite::verifier {

class Zip {
 public:
  // Refuses a file that is no zip, or unpacks to more than a multiple of its size.
  explicit Zip(const Source& source);
  ~Zip();
  Zip(const Zip&) = delete;

  bool has(const std::string& name);

  // Whether the name of a record contains `part`.
  bool has_any(const char* part);

  // Refuses a record that is not there. Units: bytes, unpacked.
  uint64_t size_of(const std::string& name);
  std::string read(const std::string& name);
#ifdef TORCHLITE_OWN_CORE
  void read(const std::string& name, void* to, size_t size); // all of it
#endif

  // The size of the largest record that is not packed. Units: bytes.
  uint64_t largest() const {
    return largest_;
  }

  // How much may be read in all. Units: bytes.
  uint64_t limit() const {
    return limit_;
  }

 private:
  static size_t read_at(void* self, mz_uint64 offset, void* to, size_t count);
  int find(const std::string& name);
  mz_zip_archive_file_stat describe(mz_uint index);

  const Source& source_;
  mz_zip_archive archive_{};
  std::unordered_map<std::string, mz_uint> records_; // their places by their names, in small letters
  std::string folder_;
  uint64_t limit_;
  uint64_t largest_ = 0;
};

} // namespace torchlite::verifier
