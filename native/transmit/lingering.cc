#include "transmit/lingering.h"

#include <algorithm>
#include <atomic>
#include <cerrno>

#include "kernel/syscalls.h"

namespace fastify_ktls {

namespace {

using std::chrono::milliseconds;

constexpr std::chrono::seconds kLongest{30};
constexpr std::chrono::seconds kLongestSilence{5};
constexpr int kMaxConnections = 1024;

// What one call drops at most, so that a flood does not keep its thread.
constexpr int kReads = 8;
constexpr size_t kReadSize = 64 * 1024;

// The kernel has no event for "all is acknowledged".
constexpr milliseconds kFirstLook{1};
constexpr milliseconds kLastLook{256};

std::atomic<int> connections{0};

}  // namespace

bool Lingering::Continues(int fd) {
  const Clock::time_point now = Clock::now();
  if (!lingers_ && !Begin(now)) return false;
  uint8_t dropped[kReadSize];
  for (int i = 0; i < kReads; i++) {
    // MSG_TRUNC: TCP drops the bytes in place of copying them (man 7 tcp), other sockets copy.
    const ssize_t got = sys.recv(fd, dropped, sizeof(dropped), MSG_DONTWAIT | MSG_TRUNC);
    if (got < 0 && errno == EAGAIN) break;
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return End();
    expects_more_ = true;
    silent_end_ = now + kLongestSilence;
  }
  next_look_ = std::min(end_, silent_end_);
  if (now >= next_look_) return End();
  if (expects_more_) return true;
  int queued = 0;  // the FIN counts as one byte
  if (sys.unacknowledged(fd, &queued) != 0 || queued == 0) return End();
  backoff_ = std::clamp(backoff_ * 2, kFirstLook, kLastLook);
  next_look_ = std::min(next_look_, now + backoff_);
  return true;
}

bool Lingering::Begin(Clock::time_point now) {
  if (connections.fetch_add(1) >= kMaxConnections) {
    connections--;
    return false;
  }
  lingers_ = true;
  end_ = now + kLongest;
  silent_end_ = now + kLongestSilence;
  return true;
}

bool Lingering::End() {
  if (lingers_) connections--;
  lingers_ = false;
  return false;
}

}  // namespace fastify_ktls
