// Texts of upstream's errors, as people read them who use the runtime.

#pragma once

#include <string>

namespace torchlite {

// Without the places in upstream's source, and without what upstream says to those who build or
// mend it. Never empty.
std::string reword(std::string text);

} // namespace torchlite
