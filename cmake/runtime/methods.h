// What callers are told of the methods of a module.

#pragma once

#include "torchlite.h"

#include "any_value.h"

#include <deque>
#include <memory>
#include <string>
#include <vector>

namespace torchlite {

// Those of the class of the module that can be called, sorted by name.
std::vector<Method> list_methods(const Module& module);

// Descriptions of the methods that can be called, sorted by name; what they point to lives as long as this.
class Methods {
 public:
  explicit Methods(const Module& module);
  Methods(const Methods&) = delete;

  const std::vector<torchlite_method>& all() const {
    return methods_;
  }

 private:
  torchlite_method describe(const Method& method);
  torchlite_type describe_type(const AnyType& type, int above);
  const char* keep(std::string text);

  std::vector<torchlite_method> methods_;
  std::deque<std::string> texts_; // whose strings stay where they are
  std::vector<std::unique_ptr<torchlite_type[]>> types_;
  std::vector<std::unique_ptr<torchlite_input[]>> inputs_;
};

} // namespace torchlite
