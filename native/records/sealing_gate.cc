#include "records/sealing_gate.h"

#include <sched.h>

#include <atomic>

namespace fastify_ktls {

namespace {

std::atomic<bool> shut{false};
std::atomic<int> passes{0};

struct Gate {
  // Run as an exit handler. A pass is held for one batch of records, a fraction of a
  // millisecond.
  ~Gate() {
    shut = true;
    while (passes > 0) sched_yield();
  }
};

}  // namespace

// A destructor, and not atexit(), which glibc links into the caller: an addon that is
// built beforehand takes from libc only what its loader finds there.
void OpenSealingGate() { static const Gate gate; }

SealingPass::SealingPass() {
  passes++;
  open_ = !shut;
  if (!open_) passes--;
}

SealingPass::~SealingPass() {
  if (open_) passes--;
}

}  // namespace fastify_ktls
