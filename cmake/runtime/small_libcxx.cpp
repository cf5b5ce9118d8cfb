// What a runtime does not need of libc++'s "C" locale. Linked in front of libc++_static.a by
// profiles that build for size; without libc++ this file is empty.
//
// The classic locale of libc++ holds all facets there are: money, time, messages and wide characters.
// The runtime formats numbers into narrow streams, and reads none out of them. A facet is reached by
// its virtual table alone, so the tables of the others are defined here, and the linker collects what
// only the real ones reach. Names of tables are part of the ABI, unlike the layout of the locale.
//
// Numbers go into streams by printf, as with libstdc++. From release 20 on, headers of libc++ use the
// facet for numbers themselves, which stays then.
//
// Every entry ends the process. Nothing calls one: no unit names such a facet
// (tests/native/test_android.py), and no code of an app can, as the library exports no symbol of
// libc++. collate<char> stays: std::regex takes it.

#include <version>

#if defined(_LIBCPP_VERSION)

#include <cstddef>
#include <cstdlib>

#include <new>

#include "small_streams.h"

namespace {

[[noreturn]] void refuse() {
  std::abort();
}

} // namespace

extern "C" {

using Entry = void (*)();

// As many entries as the longest of the tables, that of time_get, has.
__attribute__((visibility("hidden"))) extern const Entry torchlite_left_out[32] = {
    refuse, refuse, refuse, refuse, refuse, refuse, refuse, refuse, refuse, refuse, refuse,
    refuse, refuse, refuse, refuse, refuse, refuse, refuse, refuse, refuse, refuse, refuse,
    refuse, refuse, refuse, refuse, refuse, refuse, refuse, refuse, refuse, refuse,
};

#if defined(__ANDROID__)
#define STD "NSt6__ndk1"
#define MBSTATE "9mbstate_t"
#else
#define STD "NSt3__1"
#define MBSTATE "11__mbstate_t"
#endif

#ifdef __LP64__
#define SIZE "m"
#else
#define SIZE "j"
#endif

#define LEFT_OUT(name, mangled)                                                              \
  extern const Entry torchlite_no_##name[32] __asm__("_ZTV" STD mangled "E")                 \
      __attribute__((visibility("hidden"), alias("torchlite_left_out")));
#define READER(type) "I" type "NS_19istreambuf_iteratorI" type "NS_11char_traitsI" type "EEEEE"
#define WRITER(type) "I" type "NS_19ostreambuf_iteratorI" type "NS_11char_traitsI" type "EEEEE"

LEFT_OUT(collate_wide, "7collateIwE")
LEFT_OUT(messages, "8messagesIcE")
LEFT_OUT(messages_wide, "8messagesIwE")
LEFT_OUT(ctype_wide, "5ctypeIwE")
LEFT_OUT(numpunct_wide, "8numpunctIwE")
LEFT_OUT(num_get, "7num_get" READER("c"))
LEFT_OUT(num_get_wide, "7num_get" READER("w"))
LEFT_OUT(num_put_wide, "7num_put" WRITER("w"))
LEFT_OUT(moneypunct, "10moneypunctIcLb0EE")
LEFT_OUT(moneypunct_international, "10moneypunctIcLb1EE")
LEFT_OUT(moneypunct_wide, "10moneypunctIwLb0EE")
LEFT_OUT(moneypunct_wide_international, "10moneypunctIwLb1EE")
LEFT_OUT(money_get, "9money_get" READER("c"))
LEFT_OUT(money_get_wide, "9money_get" READER("w"))
LEFT_OUT(money_put, "9money_put" WRITER("c"))
LEFT_OUT(money_put_wide, "9money_put" WRITER("w"))
LEFT_OUT(time_get, "8time_get" READER("c"))
LEFT_OUT(time_get_wide, "8time_get" READER("w"))
LEFT_OUT(time_put, "8time_put" WRITER("c"))
LEFT_OUT(time_put_wide, "8time_put" WRITER("w"))
LEFT_OUT(codecvt_wide, "7codecvtIwc" MBSTATE "E")
LEFT_OUT(codecvt_16, "7codecvtIDsc" MBSTATE "E")
LEFT_OUT(codecvt_16_8, "7codecvtIDsDu" MBSTATE "E")
LEFT_OUT(codecvt_32, "7codecvtIDic" MBSTATE "E")
LEFT_OUT(codecvt_32_8, "7codecvtIDiDu" MBSTATE "E")

#if _LIBCPP_VERSION < 200000
LEFT_OUT(num_put, "7num_put" WRITER("c"))
LEFT_OUT(numpunct, "8numpunctIcE")
#endif

// The demangler is 120 KB; without it types in messages have their mangled names.
char* __cxa_demangle(const char*, char*, std::size_t*, int* status) {
  if (status != nullptr) {
    *status = -1; // what it says when there is no memory
  }
  return nullptr;
}

} // extern "C"

// The first prime that is not smaller, for hash tables, which are not large here; libc++ knows how to skip most divisors.
std::size_t find_prime(std::size_t number) __asm__("_Z" STD "12__next_primeE" SIZE) __attribute__((visibility("hidden")));
std::size_t find_prime(std::size_t number) {
  if (number < 3) {
    return number == 0 ? 0 : 2;
  }
  number |= 1;
  for (std::size_t divisor = 3; divisor <= number / divisor; divisor += 2) {
    if (number % divisor == 0) {
      number += 2;
      divisor = 1; // begins again
    }
  }
  return number;
}

// The streams of the process, as with libstdc++. libc++ makes them and their wide ones in one unit, which reads a facet that
// is left out here; who names another of them brings that unit.

extern "C" {

alignas(std::ostream) __attribute__((visibility("hidden"))) unsigned char torchlite_cout[sizeof(std::ostream)] __asm__(
    "_Z" STD "4coutE");
alignas(std::ostream) __attribute__((visibility("hidden"))) unsigned char torchlite_cerr[sizeof(std::ostream)] __asm__(
    "_Z" STD "4cerrE");

} // extern "C"

namespace {

struct Streams {
  Streams() {
    alignas(Plain) static unsigned char rooms[2][sizeof(Plain)];
    new (torchlite_cout) std::ostream(new (rooms[0]) Plain(stdout));
    auto* errors = new (torchlite_cerr) std::ostream(new (rooms[1]) Plain(stderr));
    errors->setf(std::ios_base::unitbuf);
  }
};

__attribute__((init_priority(101))) Streams streams; // before what other units make

} // namespace

#if _LIBCPP_VERSION < 200000

// Each is ostream::operator<<(T) for numbers, by its name: the class is declared as one of libc++'s own.
#define PUT(letter, type)                                                                                       \
  std::ostream& put_##letter(std::ostream& stream, type value) __asm__(                                        \
      "_Z" STD "13basic_ostreamIcNS_11char_traitsIcEEElsE" #letter) __attribute__((visibility("hidden")));      \
  std::ostream& put_##letter(std::ostream& stream, type value)
#define PUT_SIGNED(letter, type, bits)                                \
  PUT(letter, type) {                                                 \
    return put_integer(stream, value, static_cast<bits>(value), true); \
  }
#define PUT_UNSIGNED(letter, type)                 \
  PUT(letter, type) {                              \
    return put_integer(stream, 0, value, false);   \
  }

PUT_SIGNED(s, short, unsigned short)
PUT_SIGNED(i, int, unsigned int)
PUT_SIGNED(l, long, unsigned long)
PUT_SIGNED(x, long long, unsigned long long)
PUT_UNSIGNED(t, unsigned short)
PUT_UNSIGNED(j, unsigned int)
PUT_UNSIGNED(m, unsigned long)
PUT_UNSIGNED(y, unsigned long long)
PUT(f, float) {
  return put_real(stream, static_cast<double>(value));
}
PUT(d, double) {
  return put_real(stream, value);
}
PUT(e, long double) {
  return put_real(stream, value);
}
PUT(b, bool) {
  return put_bool(stream, value);
}
PUT(PKv, const void*) {
  return put_pointer(stream, value);
}

#endif

#endif
