// What went wrong on a pool thread, as plain data: no JavaScript value may be made there.
#pragma once

#include <cstdint>

namespace stonewal {

// The names are those of IoOperation in @stonewal/io: the same errno means different things to a read and a sync.
struct Failure {
  int error = 0;  // errno; 0: nothing failed
  const char* operation = "";
  const char* syscall = "";
  int64_t step = -1;  // index in the chain; -1: not a chain
  // The file's earlier failed sync is why this step was refused; `error` is then the errno of that sync.
  bool poisoned = false;

  explicit operator bool() const { return error != 0; }
};

inline Failure Failed(int error, const char* operation, const char* syscall) {
  Failure failure;
  failure.error = error;
  failure.operation = operation;
  failure.syscall = syscall;
  return failure;
}

}  // namespace stonewal
