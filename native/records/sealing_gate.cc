#include "records/sealing_gate.h"

#include <sched.h>

#include <atomic>
#include <cstdlib>
#include <mutex>

namespace fastify_ktls {

namespace {

std::atomic<bool> shut{false};
std::atomic<int> passes{0};

// A pass is held for one batch of records, a fraction of a millisecond.
void Shut() {
  shut = true;
  while (passes > 0) sched_yield();
}

}  // namespace

void OpenSealingGate() {
  static std::once_flag once;
  std::call_once(once, [] { atexit(Shut); });
}

SealingPass::SealingPass() {
  passes++;
  open_ = !shut;
  if (!open_) passes--;
}

SealingPass::~SealingPass() {
  if (open_) passes--;
}

}  // namespace fastify_ktls
