// Names of dimensions, for runtimes with builder's own core: no value of it has any, so that every name is the
// wildcard. The table of interned symbols, which upstream's unit asks for the wildcard's number, is left out.

#include <ATen/core/Dimname.h>
#include <c10/util/Exception.h>

namespace at {
namespace {

const Symbol wildcard_symbol(0);

} // namespace

std::ostream& operator<<(std::ostream& out, const Dimname& /*name*/) {
  return out << "None";
}

bool Dimname::isValidName(const std::string& /*name*/) {
  return false;
}

Dimname Dimname::fromSymbol(Symbol /*name*/) {
  TORCH_CHECK(false, "this runtime has no names of dimensions");
}

Dimname Dimname::wildcard() {
  return Dimname(wildcard_symbol, NameType::WILDCARD);
}

std::optional<Dimname> Dimname::unify(Dimname /*other*/) const {
  return *this;
}

bool Dimname::matches(Dimname /*other*/) const {
  return true;
}

} // namespace at
