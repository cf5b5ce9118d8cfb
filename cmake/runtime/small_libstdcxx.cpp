// What a runtime needs of libstdc++'s "C" locale and streams, and no more. Linked in front of
// libstdc++.a by profiles that build for size; without libstdc++ this file is empty.
//
// The classic locale of libstdc++ holds all facets there are: money, time, messages and wide
// characters, twice, for both of its ABIs: 350 KB. The runtime formats numbers into narrow streams,
// which printf does as well, and reads none of them out of streams. A facet that is left out is
// refused as the standard says: has_facet is false, use_facet throws, and a stream that needs it goes
// bad.
//
// Written against locale_classes.h of GCC 12. The members used are part of the ABI, so they are the
// same in releases 10 to 14. Compiled for the older of the two ABIs, the one that libstdc++ itself
// formats with, and without access control.

#include <locale>

#if defined(__GLIBCXX__) && _GLIBCXX_RELEASE >= 10 && _GLIBCXX_RELEASE <= 14

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <ext/atomicity.h>
#include <iostream>
#include <new>

#include "small_streams.h"

namespace {

constexpr std::size_t kFacets = 64;

const std::locale::facet* facets[kFacets];
const std::locale::facet* caches[kFacets];
char* names[kFacets];
char classic_name[] = "C";

// Makes an object that lives as long as the program, in memory that is never given back.
template <typename T, typename... Arguments>
T* make(Arguments... arguments) {
  alignas(T) static unsigned char room[sizeof(T)];
  return new (&room) T(arguments...);
}

template <typename Facet, typename... Arguments>
void install(Arguments... arguments) {
  facets[Facet::id._M_id()] = make<Facet>(arguments...);
}

} // namespace

namespace std {

locale::_Impl::_Impl(size_t references) throw()
    : _M_refcount(references),
      _M_facets(facets),
      _M_facets_size(kFacets),
      _M_caches(caches),
      _M_names(names) {
  names[0] = classic_name;
  install<std::ctype<char>>(nullptr, false, 1);
  install<codecvt<char, char, mbstate_t>>(1);
}

} // namespace std

// Numbers in streams. Each is the definition of ostream::_M_insert<T>, which all of `<<` for numbers
// end in: the template is declared as one of libstdc++'s own, so that only its symbol can be defined.

#define PUT(letter, type) \
  std::ostream& put_##letter(std::ostream& stream, type value) __asm__("_ZNSo9_M_insertI" #letter "EERSoT_"); \
  std::ostream& put_##letter(std::ostream& stream, type value)

extern "C" {

PUT(l, long) {
  return put_integer(stream, value, static_cast<unsigned long>(value), true);
}
PUT(x, long long) {
  return put_integer(stream, value, static_cast<unsigned long long>(value), true);
}
PUT(m, unsigned long) {
  return put_integer(stream, 0, value, false);
}
PUT(y, unsigned long long) {
  return put_integer(stream, 0, value, false);
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

} // extern "C"

// The streams of the process: of the two that anything writes to, as narrow ones without a buffer of their own.

namespace std {

ios_base::Init::Init() {
  if (__gnu_cxx::__exchange_and_add_dispatch(&_S_refcount, 1) == 0) {
    alignas(Plain) static unsigned char rooms[2][sizeof(Plain)];
    new (&cout) ostream(new (rooms[0]) Plain(stdout));
    new (&cerr) ostream(new (rooms[1]) Plain(stderr));
    cerr.setf(ios_base::unitbuf);
  }
}

ios_base::Init::~Init() {}

_Atomic_word ios_base::Init::_S_refcount;

} // namespace std

// The demangler is 36 KB; without it types in messages have their mangled names.

namespace __gnu_cxx {

void __verbose_terminate_handler() {
  std::abort();
}

} // namespace __gnu_cxx

// What libstdc++ throws. No stream of a runtime is asked for exceptions, so that its failure, an error of the system with
// two strings, is never made; and a message with numbers needs no formatting of its own.

namespace std {

void __throw_ios_failure(const char*) {
  std::abort();
}

void __throw_ios_failure(const char*, int) {
  std::abort();
}

void __throw_out_of_range_fmt(const char* format, ...) {
  char text[200];
  va_list values;
  va_start(values, format);
  std::vsnprintf(text, sizeof(text), format, values);
  va_end(values);
  __throw_out_of_range(text);
}

} // namespace std

extern "C" char* __cxa_demangle(const char*, char*, std::size_t*, int* status) {
  if (status != nullptr) {
    *status = -1; // what it says when there is no memory
  }
  return nullptr;
}

#endif
