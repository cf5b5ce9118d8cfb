// The bytes of a model, in a file or in the caller's memory.

#pragma once

#include <cstddef>
#include <cstdint>
#include <streambuf>
#include <string>

namespace torchlite {

class Source {
 public:
  // A regular file. Throws std::runtime_error, with the path, when it cannot be opened.
  explicit Source(const std::string& path);

  // Memory that outlives the source.
  Source(const void* data, size_t size) : data_(static_cast<const char*>(data)), size_(size) {}

  Source(const Source&) = delete;
  ~Source();

  uint64_t size() const {
    return size_;
  }

  // False when not all of `count` bytes at `offset` are there.
  bool read(uint64_t offset, void* to, size_t count) const;

 private:
  const char* data_ = nullptr;
  int file_ = -1;
  uint64_t size_ = 0;
};

// What upstream's loader reads a source through: the file that was verified, not the path again.
class SourceBuffer : public std::streambuf {
 public:
  explicit SourceBuffer(const Source& source) : source_(source) {}

 protected:
  std::streamsize xsgetn(char* to, std::streamsize count) override;
  pos_type seekoff(off_type offset, std::ios_base::seekdir from, std::ios_base::openmode) override;
  pos_type seekpos(pos_type position, std::ios_base::openmode) override;

 private:
  const Source& source_;
  uint64_t position_ = 0;
};

} // namespace torchlite
