// The memory that records of a zip file are read to while a model is loaded.

#pragma once

#include <cstddef>

namespace torchlite {

struct RecordPlace;

// While it lives, large records that this thread reads are put into one place, one after another, as most weights are
// packed and then not needed any more: memory that nobody has written to yet costs more than what is read into it.
class RecordsInTurn {
 public:
  // The largest record that is put there has `size` bytes.
  explicit RecordsInTurn(size_t size);
  RecordsInTurn(const RecordsInTurn&) = delete;
  ~RecordsInTurn();
};

} // namespace torchlite
