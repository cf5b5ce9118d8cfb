// Where warnings and what models print go: torchlite_set_log().

#pragma once

#include "torchlite.h"

#include <c10/util/Exception.h>

namespace torchlite {

void set_log(torchlite_log_function function, void* user);

// While one exists, warnings on this thread go to the log that is set; nothing changes where none is.
class Logging {
 public:
  Logging();

 private:
  const c10::WarningUtils::WarningHandlerGuard guard_;
};

} // namespace torchlite
