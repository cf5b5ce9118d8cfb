#include "source.h"

#include "refusal.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace torchlite {

// Without O_NONBLOCK a named pipe would be waited for, for ever.
Source::Source(const std::string& path) : file_(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
  if (file_ < 0) {
    fail({path, ": ", std::strerror(errno)});
  }
  struct stat found;
  const bool regular = fstat(file_, &found) == 0 && S_ISREG(found.st_mode);
  if (!regular) {
    close(file_);
    fail({path, ": not an ordinary file"});
  }
  size_ = static_cast<uint64_t>(found.st_size);
}

Source::~Source() {
  if (file_ >= 0) {
    close(file_);
  }
}

bool Source::read(uint64_t offset, void* to, size_t count) const {
  if (offset > size_ || count > size_ - offset) {
    return false;
  }
  if (file_ < 0) {
    std::memcpy(to, data_ + offset, count);
    return true;
  }
  char* next = static_cast<char*>(to);
  while (count > 0) {
    const ssize_t done = pread(file_, next, count, static_cast<off_t>(offset));
    if (done < 0 && errno == EINTR) {
      continue;
    }
    if (done <= 0) { // an error, or the file was cut while it was read
      return false;
    }
    next += done;
    offset += static_cast<uint64_t>(done);
    count -= static_cast<size_t>(done);
  }
  return true;
}

std::streamsize SourceBuffer::xsgetn(char* to, std::streamsize count) {
  if (count < 0 || !source_.read(position_, to, static_cast<size_t>(count))) {
    return 0;
  }
  position_ += static_cast<uint64_t>(count);
  return count;
}

SourceBuffer::pos_type
SourceBuffer::seekoff(off_type offset, std::ios_base::seekdir from, std::ios_base::openmode mode) {
  const uint64_t base = from == std::ios_base::beg ? 0
      : from == std::ios_base::cur                 ? position_
                                                   : source_.size();
  return seekpos(static_cast<off_type>(base) + offset, mode);
}

SourceBuffer::pos_type SourceBuffer::seekpos(pos_type position, std::ios_base::openmode) {
  const off_type wanted = position;
  if (wanted < 0 || static_cast<uint64_t>(wanted) > source_.size()) {
    return pos_type(off_type(-1));
  }
  position_ = static_cast<uint64_t>(wanted);
  return position;
}

} // namespace torchlite
