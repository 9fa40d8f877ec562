#include "chain_queue.h"

namespace stonewal {

namespace {

enum class Claim { kNone, kShared, kAlone };

// Calls use(file, claim) for the steps that claim their file; a file may come up more than once.
template <typename Use>
void ForEachClaim(const Chain& chain, Use use) {
  const auto& steps = chain.steps();
  for (size_t i = 0; i < steps.size(); i++) {
    const Step& step = steps[i];
    if (Syncs(step.move)) {
      use(*step.file, Claim::kAlone);
    } else if (step.move != Move::kRead && i + 1 < steps.size()) {
      use(*step.file, Claim::kShared);
    }
  }
}

// What stands against a claim: chains with the kernel, and those that asked earlier in this pass.
bool Free(const RingFile& file, Claim claim, uint64_t pass) {
  const bool asked = file.pass == pass;
  if (file.taken || (asked && file.pass_taken)) return false;
  return claim == Claim::kShared || (file.sharers == 0 && !(asked && file.pass_shared));
}

}  // namespace

Chain* ChainQueue::Next() {
  pass_++;
  for (auto it = waiting_.begin(); it != waiting_.end(); ++it) {
    Chain* const chain = *it;
    bool free = true;
    ForEachClaim(*chain, [&](const RingFile& file, Claim claim) { free = free && Free(file, claim, pass_); });
    if (free) {
      waiting_.erase(it);
      // One that both writes and syncs a file counts itself among the sharers as well; Release takes back the same.
      ForEachClaim(*chain, [](RingFile& file, Claim claim) {
        if (claim == Claim::kAlone) file.taken = true;
        else file.sharers++;
      });
      return chain;
    }
    ForEachClaim(*chain, [&](RingFile& file, Claim claim) {
      if (file.pass != pass_) {
        file.pass = pass_;
        file.pass_shared = file.pass_taken = false;
      }
      (claim == Claim::kAlone ? file.pass_taken : file.pass_shared) = true;
    });
  }
  return nullptr;
}

void ChainQueue::Release(Chain* chain) {
  ForEachClaim(*chain, [](RingFile& file, Claim claim) {
    if (claim == Claim::kAlone) file.taken = false;
    else file.sharers--;
  });
}

}  // namespace stonewal
