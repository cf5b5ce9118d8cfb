// Memory of one of several processors' own, for runtimes with builder's own core: it is left where the system puts it.

#include <c10/util/numa.h>

namespace c10 {

bool IsNUMAEnabled() {
  return false;
}

void NUMABind(int /*node*/) {}

int GetNUMANode(const void* /*pointer*/) {
  return -1;
}

int GetNumNUMANodes() {
  return -1;
}

void NUMAMove(void* /*pointer*/, size_t /*size*/, int /*node*/) {}

int GetCurrentNUMANode() {
  return -1;
}

} // namespace c10
