// What builder's own core makes a module of: a zip after all checks.

#pragma once

#include "pickle.h"
#include "zip.h"

#include <functional>

namespace torchlite::verifier {

struct CheckedModel {
  Zip& zip;
  int version; // of the operators
  const Node& methods; // the table in bytecode.pkl
  const std::string& constants; // the folder with the storages of the methods' constants
  const Node& object; // the module, in data.pkl
  const std::string& data; // the folder with the storages of the module
};

using ModuleMaker = std::function<void(const CheckedModel&)>;

// Checks a zip as verify_zip() does, and gives it to `maker`.
void read_zip(const Source& source, const ModuleMaker& maker);

} // namespace torchlite::verifier
