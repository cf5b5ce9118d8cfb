// Numbers in streams by printf, and streams over the files of a process: what small_libstdcxx.cpp and small_libcxx.cpp have in
// place of a C++ library's own.

#pragma once

#include <clocale>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <locale.h>
#include <ostream>
#include <streambuf>
#include <type_traits>

namespace {

using Flags = std::ios_base;

// A conversion of printf for a stream: "%#llx".
struct Conversion {
  char text[8] = "%";
  char* end = text + 1;
  void add_if(bool wanted, char one) {
    if (wanted) {
      *end++ = one;
    }
  }
};

// As printf does, and as wide and as filled as the stream says; `internal` counts as `right`.
template <typename... Values>
std::ostream& print(std::ostream& stream, const Conversion& conversion, Values... values) {
  char room[400]; // more than any number has that does not ask for many digits
  const int length = std::snprintf(room, sizeof(room), conversion.text, values...);
  if (length < static_cast<int>(sizeof(room))) {
    return stream << static_cast<const char*>(room);
  }
  char* more = static_cast<char*>(std::malloc(static_cast<std::size_t>(length) + 1));
  if (more == nullptr) {
    stream.setstate(Flags::badbit);
    return stream;
  }
  std::snprintf(more, static_cast<std::size_t>(length) + 1, conversion.text, values...);
  stream << static_cast<const char*>(more);
  std::free(more);
  return stream;
}

// `bits` is the number as one without a sign of its own width, which the other bases show.
std::ostream& put_integer(
    std::ostream& stream, long long value, unsigned long long bits, bool has_sign) {
  const auto flags = stream.flags();
  const auto base = flags & Flags::basefield;
  const bool is_hex = base == Flags::hex;
  const bool is_decimal = !is_hex && base != Flags::oct;
  Conversion conversion;
  conversion.add_if(is_decimal && has_sign && (flags & Flags::showpos) != 0, '+');
  conversion.add_if(!is_decimal && (flags & Flags::showbase) != 0, '#');
  conversion.add_if(true, 'l');
  conversion.add_if(true, 'l');
  if (is_decimal && has_sign) {
    conversion.add_if(true, 'd');
    return print(stream, conversion, value);
  }
  conversion.add_if(is_decimal, 'u');
  conversion.add_if(is_hex, (flags & Flags::uppercase) != 0 ? 'X' : 'x');
  conversion.add_if(!is_decimal && !is_hex, 'o');
  return print(stream, conversion, bits);
}

template <typename T>
std::ostream& put_real(std::ostream& stream, T value) {
  const auto flags = stream.flags();
  const auto form = flags & Flags::floatfield;
  const bool is_hex = form == Flags::floatfield;
  const bool is_upper = (flags & Flags::uppercase) != 0;
  const char letter = is_hex ? 'a' : form == Flags::fixed ? 'f' : form == Flags::scientific ? 'e' : 'g';
  Conversion conversion;
  conversion.add_if((flags & Flags::showpos) != 0, '+');
  conversion.add_if((flags & Flags::showpoint) != 0, '#');
  conversion.add_if(!is_hex, '.');
  conversion.add_if(!is_hex, '*');
  conversion.add_if(sizeof(T) > sizeof(double) || std::is_same<T, long double>::value, 'L');
  conversion.add_if(true, is_upper && letter != 'f' ? static_cast<char>(letter - 'a' + 'A') : letter);
  // An app may have chosen a locale with a comma.
  static const locale_t plain = newlocale(LC_ALL_MASK, "C", nullptr);
  const locale_t before = uselocale(plain);
  if (is_hex) {
    print(stream, conversion, value);
  } else {
    print(stream, conversion, static_cast<int>(stream.precision()), value);
  }
  uselocale(before);
  return stream;
}

std::ostream& put_bool(std::ostream& stream, bool value) {
  if ((stream.flags() & Flags::boolalpha) == 0) {
    return put_integer(stream, value ? 1 : 0, value ? 1 : 0, true);
  }
  return stream << (value ? "true" : "false");
}

// A pointer, as a number with its base.
std::ostream& put_pointer(std::ostream& stream, const void* value) {
  const auto before = stream.flags();
  stream.flags((before & ~(Flags::basefield | Flags::uppercase)) | Flags::hex | Flags::showbase);
  put_integer(stream, 0, reinterpret_cast<std::uintptr_t>(value), false);
  stream.flags(before);
  return stream;
}

class Plain final : public std::streambuf {
 public:
  explicit Plain(std::FILE* file) : file_(file) {}

 protected:
  int_type overflow(int_type one) override {
    return traits_type::eq_int_type(one, traits_type::eof()) ? traits_type::not_eof(one) : std::fputc(one, file_);
  }
  std::streamsize xsputn(const char* text, std::streamsize length) override {
    return static_cast<std::streamsize>(std::fwrite(text, 1, static_cast<std::size_t>(length), file_));
  }
  int sync() override {
    return std::fflush(file_);
  }

 private:
  std::FILE* const file_;
};

} // namespace
