// Pages of memory that is about to be written to.

#pragma once

#include <cstddef>

namespace torchlite {

// While it lives, the pages of large blocks are asked for at once. Asked for one by one, as they are first written to, they
// are what most of the time of a load goes to. During a call, blocks mostly have their pages from earlier calls.
class PagesAtOnce {
 public:
  PagesAtOnce();
  PagesAtOnce(const PagesAtOnce&) = delete;
  ~PagesAtOnce();
};

// Asks for the pages of a block that this thread will write to, where a PagesAtOnce lives. Nothing is different where the
// system cannot do it, or has no memory.
void take_pages(void* memory, size_t size);

// Between these, the largest tensor's pages that were freed wait for the next tensor of at least 32 MB. C libraries give such
// blocks back to the system, and their new pages were a third of the time of networks with many of them.
void begin_keeping_pages();
void end_keeping_pages();

} // namespace torchlite
