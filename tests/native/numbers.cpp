// Writes numbers of all kinds into streams, as wide, as filled and in the forms that a stream can ask for.

#include <climits>
#include <cstdio>
#include <iomanip>
#include <limits>
#include <sstream>

namespace {

using Flags = std::ios_base;

template <typename T>
void write(T value) {
  constexpr Flags::fmtflags bases[] = {Flags::dec, Flags::hex, Flags::oct};
  constexpr Flags::fmtflags forms[] = {{}, Flags::fixed, Flags::scientific, Flags::fixed | Flags::scientific};
  constexpr Flags::fmtflags others[] = {
      {}, Flags::showbase, Flags::showpos, Flags::uppercase, Flags::showpoint, Flags::boolalpha, Flags::left};
  for (const auto base : bases) {
    for (const auto form : forms) {
      for (const auto other : others) {
        std::ostringstream stream;
        stream.flags(base | form | other);
        stream << value << ' ' << std::setw(12) << std::setfill('*') << value << ' ' << std::setprecision(2) << value;
        std::puts(stream.str().c_str());
      }
    }
  }
}

} // namespace

int main() {
#ifndef _LIBCPP_VERSION
  // libc++ does not fill words, nor signs true, and writes INF in the form `fixed` too.
  write(true);
  write(std::numeric_limits<double>::infinity());
#endif
  write<short>(-3);
  write<unsigned short>(USHRT_MAX);
  write(INT_MIN);
  write(UINT_MAX);
  write(-42L);
  write(42UL);
  write(LLONG_MAX);
  write(ULLONG_MAX);
  write(1.5F);
  write(-1e300);
  write(123456.789);
  write(0.1L);
  write(reinterpret_cast<const void*>(0xabc));
}
