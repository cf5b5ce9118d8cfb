// The checksum of the records of a model (CRC-32 of zip files), which most of the time of a load goes to. Where
// the CPU has instructions for it, they are used; elsewhere eight bytes are looked up at once.

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#elif defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>
#elif defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace {

constexpr uint32_t kPolynomial = 0xEDB88320; // reflected: the lowest bit is the highest power

using Tables = std::array<std::array<uint32_t, 256>, 8>;

Tables make_tables() {
  Tables tables;
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc >> 1) ^ (crc & 1 ? kPolynomial : 0);
    }
    tables[0][byte] = crc;
  }
  for (size_t table = 1; table < tables.size(); ++table) { // each has one zero byte more behind it
    for (size_t byte = 0; byte < 256; ++byte) {
      const uint32_t before = tables[table - 1][byte];
      tables[table][byte] = (before >> 8) ^ tables[0][before & 0xFF];
    }
  }
  return tables;
}

// Little-endian only, as is the whole runtime.
uint32_t look_up(uint32_t crc, const unsigned char* data, size_t size) {
  static const Tables tables = make_tables();
  for (; size >= 8; data += 8, size -= 8) {
    uint64_t word;
    std::memcpy(&word, data, 8);
    word ^= crc;
    crc = 0;
    for (int byte = 0; byte < 8; ++byte, word >>= 8) {
      crc ^= tables[7 - byte][word & 0xFF];
    }
  }
  for (; size > 0; ++data, --size) {
    crc = (crc >> 8) ^ tables[0][(crc ^ *data) & 0xFF];
  }
  return crc;
}

#if defined(__aarch64__)

bool has_instructions() {
#if defined(__linux__)
  return (getauxval(AT_HWCAP) & (1 << 7)) != 0; // HWCAP_CRC32
#elif defined(__APPLE__)
  int found = 0;
  size_t size = sizeof(found);
  return sysctlbyname("hw.optional.armv8_crc32", &found, &size, nullptr, 0) == 0 && found != 0;
#else
  return false;
#endif
}

__attribute__((target("crc"))) uint32_t compute(uint32_t crc, const unsigned char* data, size_t size) {
  for (; size >= 8; data += 8, size -= 8) {
    uint64_t word;
    std::memcpy(&word, data, 8);
    crc = __builtin_arm_crc32d(crc, word);
  }
  for (; size > 0; ++data, --size) {
    crc = __builtin_arm_crc32b(crc, *data);
  }
  return crc;
}

#elif defined(__x86_64__)

bool has_instructions() {
  // Not __builtin_cpu_supports: it brings the names and features of all processors, 5 KB.
  unsigned int a, b, features, d;
  const bool known = __get_cpuid(1, &a, &b, &features, &d) != 0;
  return known && (features & bit_PCLMUL) != 0 && (features & bit_SSE4_1) != 0;
}

// Multiplies `value` by powers of x, so that it can be added to data that stands further behind.
__attribute__((target("pclmul,sse4.1"))) inline __m128i fold(__m128i value, __m128i powers, __m128i data) {
  const __m128i low = _mm_clmulepi64_si128(value, powers, 0x00);
  const __m128i high = _mm_clmulepi64_si128(value, powers, 0x11);
  return _mm_xor_si128(_mm_xor_si128(low, high), data);
}

inline __m128i load(const unsigned char* data) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(data));
}

// Folds four vectors at once and reduces what is left ("Fast CRC Computation for Generic Polynomials Using PCLMULQDQ
// Instruction", Intel, 2009, which has the constants for this polynomial).
__attribute__((target("pclmul,sse4.1"))) uint32_t
compute(uint32_t crc, const unsigned char* data, size_t size) {
  if (size < 64) {
    return look_up(crc, data, size);
  }
  const __m128i by_512 = _mm_set_epi64x(0x1c6e41596, 0x154442bd4);
  const __m128i by_128 = _mm_set_epi64x(0x0ccaa009e, 0x1751997d0);
  // No loop over the four: compilers that optimise for size would keep them in memory.
  __m128i first = _mm_xor_si128(load(data), _mm_cvtsi32_si128(static_cast<int>(crc)));
  __m128i second = load(data + 16);
  __m128i third = load(data + 32);
  __m128i fourth = load(data + 48);
  for (data += 64, size -= 64; size >= 64; data += 64, size -= 64) {
    first = fold(first, by_512, load(data));
    second = fold(second, by_512, load(data + 16));
    third = fold(third, by_512, load(data + 32));
    fourth = fold(fourth, by_512, load(data + 48));
  }
  __m128i value = fold(fold(fold(first, by_128, second), by_128, third), by_128, fourth);
  for (; size >= 16; data += 16, size -= 16) {
    value = fold(value, by_128, load(data));
  }
  const __m128i halves = _mm_setr_epi32(~0, 0, ~0, 0);
  value = _mm_xor_si128(_mm_clmulepi64_si128(value, by_128, 0x10), _mm_srli_si128(value, 8));
  value = _mm_xor_si128(
      _mm_clmulepi64_si128(_mm_and_si128(value, halves), _mm_set_epi64x(0, 0x163cd6124), 0x00),
      _mm_srli_si128(value, 4));
  const __m128i barrett = _mm_set_epi64x(0x1f7011641, 0x1db710641);
  __m128i quotient = _mm_clmulepi64_si128(_mm_and_si128(value, halves), barrett, 0x10);
  quotient = _mm_clmulepi64_si128(_mm_and_si128(quotient, halves), barrett, 0x00);
  crc = static_cast<uint32_t>(_mm_extract_epi32(_mm_xor_si128(value, quotient), 1));
  return look_up(crc, data, size);
}

#else

bool has_instructions() {
  return false;
}

uint32_t compute(uint32_t crc, const unsigned char* data, size_t size) {
  return look_up(crc, data, size);
}

#endif

} // namespace

// miniz calls this in place of its own, which takes a byte at a time (miniz.h has the declaration).
extern "C" unsigned long mz_crc32(unsigned long crc, const unsigned char* data, size_t size) {
  static const bool fast = has_instructions();
  if (data == nullptr) {
    return 0; // what a checksum starts with
  }
  const uint32_t start = ~static_cast<uint32_t>(crc);
  return static_cast<uint32_t>(~(fast ? compute(start, data, size) : look_up(start, data, size)));
}
