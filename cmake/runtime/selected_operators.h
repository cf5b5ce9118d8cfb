// What the generated registrations of one build say of themselves.

#pragma once

namespace torchlite {

// Root operators this runtime was built for, sorted, ended by nullptr.
extern const char* const selected_operators[];

} // namespace torchlite
