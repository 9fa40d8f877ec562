// Requests that go wrong, for tests: only in an addon built with -DSTONEWAL_FAULTS, which is never the one published.
//
// Rules are a string, separated by ';', each `call:path:when:effect` as in the fault shim of @stonewal/io-pwrite's tests:
//
//   call    write, sync, read: requests that do so to a file (a durable write is both a write and a sync)
//           enter: the submission of a chain
//           setup, register: the making of a ring, and of its tables of files and buffers; only with an error
//           message: a lane's telling of a result; with an error, whichever it is
//           give: a chain's going to a lane that was ready; only with a delay
//   path    part of the file's path; empty: every file
//   when    n: the n-th matching request that the kernel really starts, from 1; n+: that and every later one; n-m
//   effect  EIO, ENOSPC, EINTR, EAGAIN, ...  the request is not done, and comes back with it
//           short=N                          at most N bytes are done; of an `enter`: at most N requests are taken
//           delay=MS                         the request is started that much later
//
// What follows such a request in its chain is cancelled, as after any other failure: an error is a request with a descriptor
// that isn't one, a short write is a shorter one; with the kernel such a request is linked behind it.
#pragma once

#include <cstddef>

namespace stonewal {
namespace faults {

#ifndef STONEWAL_FAULTS

constexpr size_t kRequestsPerPiece = 1;

#else

constexpr size_t kRequestsPerPiece = 2;

}  // namespace faults
}  // namespace stonewal

#include <liburing.h>
#include <node_api.h>

#include <cstdint>
#include <string>

#include "chain.h"

namespace stonewal {
namespace faults {

struct Effect {
  enum Kind { kNone, kError, kShort, kSlow } kind = kNone;
  int64_t value = 0;
};

// Replaces the rules, for the whole process; counts start again. False: not understood.
bool SetRules(const std::string& text);
struct Counts {
  uint64_t applied;
  // Syncs of one open file that were handed to the kernel while another chain's sync of it was there.
  uint64_t overlapped;
  // Runs that were given to a lane since SetLanes changed something.
  uint64_t in_lanes;
};
Counts CountsSoFar();
void InLane();

// Whether every submitted chain is for a lane, as on a JavaScript thread that never rests; not at first.
void SetLanes(bool always);
bool Lanes();

// What happens to a piece of a chain's run that is about to be queued.
Effect Decide(const Chain& chain, uint32_t piece);
// The piece is back: what its result is to be. One that was cancelled was no call.
int32_t Completed(const Chain& chain, uint32_t piece, int32_t result);
// Memory for a delay, until the process ends.
__kernel_timespec* Delay(int64_t ms);
// True: the submission has ended with `result`.
bool Enter(io_uring* ring, int* result);
// The error, as a positive number, that the call is to fail with; 0: it is made.
int Setup();
int Register();
int Message();
// Milliseconds that pass between the look for a lane and the giving.
int64_t GiveDelay();

#endif

}  // namespace faults
}  // namespace stonewal
