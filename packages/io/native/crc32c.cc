#include "crc32c.h"

#include <string.h>

#if defined(__x86_64__)
#include <nmmintrin.h>
#define CRC_TARGET __attribute__((target("sse4.2")))
#define CRC_HARDWARE 1
#elif defined(__aarch64__)
#include <arm_acle.h>
#if defined(__linux__)
#include <sys/auxv.h>
#endif
#if defined(__clang__)
#define CRC_TARGET __attribute__((target("crc")))
#else
#define CRC_TARGET __attribute__((target("+crc")))
#endif
#define CRC_HARDWARE 1
#endif

namespace stonewal {

namespace {

constexpr uint32_t kPolynomial = 0x82f63b78;  // 0x1edc6f41, reflected

// table[k][b]: the checksum state after byte b and k zero bytes. Made once, on first use; never freed, because a
// pool thread may still be at work while the process exits.
struct ByteTables {
  uint32_t table[8][256];

  ByteTables() {
    for (uint32_t byte = 0; byte < 256; byte++) {
      uint32_t state = byte;
      for (int bit = 0; bit < 8; bit++) state = (state >> 1) ^ (state & 1 ? kPolynomial : 0);
      table[0][byte] = state;
    }
    for (uint32_t byte = 0; byte < 256; byte++) {
      for (int k = 1; k < 8; k++) {
        const uint32_t before = table[k - 1][byte];
        table[k][byte] = (before >> 8) ^ table[0][before & 0xff];
      }
    }
  }
};

const ByteTables& Tables() {
  static const ByteTables& tables = *new ByteTables();
  return tables;
}

uint32_t PortableUpdate(uint32_t state, const uint8_t* data, size_t length) {
  const auto& table = Tables().table;
  for (; length >= 8; data += 8, length -= 8) {
    // Byte by byte, so that the order of bytes in a word of this machine does not matter.
    const uint32_t low = state ^ (uint32_t{data[0]} | uint32_t{data[1]} << 8 | uint32_t{data[2]} << 16 | uint32_t{data[3]} << 24);
    state = table[7][low & 0xff] ^ table[6][(low >> 8) & 0xff] ^ table[5][(low >> 16) & 0xff] ^ table[4][low >> 24] ^
            table[3][data[4]] ^ table[2][data[5]] ^ table[1][data[6]] ^ table[0][data[7]];
  }
  for (; length > 0; data++, length--) state = (state >> 8) ^ table[0][(state ^ *data) & 0xff];
  return state;
}

#if defined(CRC_HARDWARE)

#if defined(__x86_64__)

CRC_TARGET inline uint32_t Step8(uint32_t state, uint64_t word) { return static_cast<uint32_t>(_mm_crc32_u64(state, word)); }
CRC_TARGET inline uint32_t Step1(uint32_t state, uint8_t byte) { return _mm_crc32_u8(state, byte); }
bool DetectHardware() { return __builtin_cpu_supports("sse4.2"); }

#else

CRC_TARGET inline uint32_t Step8(uint32_t state, uint64_t word) { return __crc32cd(state, word); }
CRC_TARGET inline uint32_t Step1(uint32_t state, uint8_t byte) { return __crc32cb(state, byte); }
bool DetectHardware() {
#if defined(__APPLE__)
  return true;  // every arm64 Mac has it
#else
  constexpr unsigned long kHwcapCrc32 = 1 << 7;
  return (getauxval(AT_HWCAP) & kHwcapCrc32) != 0;
#endif
}

#endif

// The instruction takes three cycles but one can start in each, so long ranges are cut in three lanes that run at
// once; a lane's state is then carried over the length of the next by a linear map, which is what Shift holds: the
// state after `lane bytes` zero bytes, as four tables of its four bytes.
constexpr size_t kLongLane = 4096;
constexpr size_t kShortLane = 256;

struct Shift {
  uint32_t table[4][256];

  explicit Shift(size_t zero_bytes) {
    uint32_t basis[32];
    for (int bit = 0; bit < 32; bit++) {
      uint32_t state = uint32_t{1} << bit;
      for (size_t n = 0; n < zero_bytes; n++) state = (state >> 8) ^ Tables().table[0][state & 0xff];
      basis[bit] = state;
    }
    for (int byte = 0; byte < 4; byte++) {
      for (uint32_t value = 0; value < 256; value++) {
        uint32_t state = 0;
        for (int bit = 0; bit < 8; bit++) {
          if (value & (uint32_t{1} << bit)) state ^= basis[byte * 8 + bit];
        }
        table[byte][value] = state;
      }
    }
  }

  uint32_t operator()(uint32_t state) const {
    return table[0][state & 0xff] ^ table[1][(state >> 8) & 0xff] ^ table[2][(state >> 16) & 0xff] ^ table[3][state >> 24];
  }
};

inline uint64_t Load8(const uint8_t* data) {
  uint64_t word;
  memcpy(&word, data, sizeof word);
  return word;
}

template <size_t kLane>
CRC_TARGET uint32_t ThreeLanes(uint32_t state, const uint8_t** data, size_t* length, const Shift& shift) {
  const uint8_t* at = *data;
  while (*length >= 3 * kLane) {
    uint32_t second = 0;
    uint32_t third = 0;
    for (const uint8_t* const end = at + kLane; at < end; at += 8) {
      state = Step8(state, Load8(at));
      second = Step8(second, Load8(at + kLane));
      third = Step8(third, Load8(at + 2 * kLane));
    }
    state = shift(shift(state) ^ second) ^ third;
    at += 2 * kLane;
    *length -= 3 * kLane;
  }
  *data = at;
  return state;
}

CRC_TARGET uint32_t HardwareUpdate(uint32_t state, const uint8_t* data, size_t length) {
  if (length >= 3 * kShortLane) {
    static const Shift& over_long = *new Shift(kLongLane);
    static const Shift& over_short = *new Shift(kShortLane);
    state = ThreeLanes<kLongLane>(state, &data, &length, over_long);
    state = ThreeLanes<kShortLane>(state, &data, &length, over_short);
  }
  for (; length >= 8; data += 8, length -= 8) state = Step8(state, Load8(data));
  for (; length > 0; data++, length--) state = Step1(state, *data);
  return state;
}

#endif

}  // namespace

bool HardwareCrc32c() {
#if defined(CRC_HARDWARE)
  static const bool found = DetectHardware();
  return found;
#else
  return false;
#endif
}

uint32_t PortableCrc32c(const uint8_t* data, size_t length) { return ~PortableUpdate(0xffffffff, data, length); }

uint32_t Crc32c(const uint8_t* data, size_t length) {
#if defined(CRC_HARDWARE)
  if (HardwareCrc32c()) return ~HardwareUpdate(0xffffffff, data, length);
#endif
  return PortableCrc32c(data, length);
}

}  // namespace stonewal
