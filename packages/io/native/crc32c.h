// CRC32C (Castagnoli, reflected, initial value and final xor 0xffffffff).
#pragma once

#include <cstddef>
#include <cstdint>

namespace stonewal {

// Whether this processor has instructions for it. Without, Crc32c gives the same results from a table.
bool HardwareCrc32c();
uint32_t Crc32c(const uint8_t* data, size_t length);
// The table alone, so that a test can hold one against the other on any machine.
uint32_t PortableCrc32c(const uint8_t* data, size_t length);

}  // namespace stonewal
