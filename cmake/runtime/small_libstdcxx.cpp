// What a runtime needs of libstdc++'s "C" locale, and no more. Linked in front of libstdc++.a by
// profiles that build for size; without libstdc++ this file is empty.
//
// The classic locale of libstdc++ holds all facets there are: money, time, messages and wide
// characters, twice, for both of its ABIs: 350 KB. The runtime formats numbers into narrow streams.
// A facet that is left out is refused as the standard says: has_facet is false, use_facet throws.
//
// Written against locale_classes.h of GCC 12. The members used are part of the ABI, so they are the
// same in releases 11 to 14. Compiled for the older of the two ABIs, the one that libstdc++ itself
// formats with, and without access control.

#include <locale>

#if defined(__GLIBCXX__) && _GLIBCXX_RELEASE >= 11 && _GLIBCXX_RELEASE <= 14

#include <cstdlib>
#include <new>

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
  auto* numbers = make<__numpunct_cache<char>>(2);
  install<std::ctype<char>>(nullptr, false, 1);
  install<codecvt<char, char, mbstate_t>>(1);
  install<numpunct<char>>(numbers, 1);
  install<num_get<char>>(1);
  install<num_put<char>>(1);
  caches[numpunct<char>::id._M_id()] = numbers;
}

} // namespace std

// The demangler is 36 KB; without it types in messages have their mangled names.

namespace __gnu_cxx {

void __verbose_terminate_handler() {
  std::abort();
}

} // namespace __gnu_cxx

extern "C" char* __cxa_demangle(const char*, char*, std::size_t*, int* status) {
  if (status != nullptr) {
    *status = -1; // what it says when there is no memory
  }
  return nullptr;
}

#endif
