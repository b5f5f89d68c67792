// Makes one call of the tables of native/kernel/syscalls.h and native/openssl/openssl.h
// fail, or take less than it was given, in front of the kernel or its double, and of
// OpenSSL: whatever is in the tables when a test asks for it first.
//
// A test reaches it as the addon's export `faults`. The addon's own registration
// is a symbol that Node looks up; one made by a constructor comes before it.
#include <napi.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

#include "kernel/syscalls.h"
#include "openssl/openssl.h"

// addon.cc's.
extern "C" napi_value NAPI_MODULE_INITIALIZER(napi_env env, napi_value exports);

namespace fastify_ktls_faults {

namespace {

using fastify_ktls::openssl;
using fastify_ktls::OpenSsl;
using fastify_ktls::sys;

constexpr int kSolTls = 282;
constexpr int kTcpUlp = 31;

// In the order of POINTS in faults.ts.
enum Point {
  kUlp,
  kTlsTx,
  kTcpInfo,
  kKeyOut,
  kSocketError,
  kSocketMemory,
  kSendData,
  kSendRecord,
  kReceive,
  kSendFile,
  kShutdown,
  kClose,
  kDuplicate,
  kUnacknowledged,
  kEpollCtl,
  kCached,
  kReadCached,
  kRead,
  kReadPieceCached,
  kReadPiece,
  kPoll,
  kDeviceSockets,
  kStatx,
  kNewBio,
  kNewCipherContext,
  kCipherControl,
  kFetchCipher,
  kEncryptInit,
  kEncryptUpdate,
  kEncryptFinal,
  kFetchKdf,
  kNewKdfContext,
  kDeriveKey,
  kRandomBytes,
  kPointCount,
};

// In the order of ACTIONS in faults.ts. kError: `value` is the errno. kTake: at
// most so many bytes. kHalf: half of them. kGone: the connection is over. kRefuse:
// OpenSSL fails, and its error queue says why.
enum Action { kError, kTake, kHalf, kGone, kRefuse };

struct Fault {
  Point point;
  uint32_t first, last;  // calls since Arm(), counted from 1
  Action action;
  int value;
};

fastify_ktls::Syscalls next;
OpenSsl next_openssl;

std::mutex mutex;  // guards the next three
std::vector<Fault> faults;
uint32_t calls[kPointCount];
uint32_t fired[kPointCount];

std::optional<Fault> Count(Point point) {
  std::lock_guard<std::mutex> lock(mutex);
  const uint32_t call = ++calls[point];
  for (const Fault& fault : faults) {
    if (fault.point != point || call < fault.first || call > fault.last) continue;
    fired[point]++;
    return fault;
  }
  return std::nullopt;
}

bool IsError(const std::optional<Fault>& fault) { return fault && fault->action == kError; }

int Fail(const Fault& fault) {
  errno = fault.value;
  return -1;
}

size_t Less(const Fault& fault, size_t size) {
  return fault.action == kHalf ? size / 2 : std::min(size, static_cast<size_t>(fault.value));
}

// As much of the parts as the fault leaves.
std::vector<iovec> Less(const iovec* parts, int count, const Fault& fault) {
  std::vector<iovec> less(parts, parts + count);
  size_t whole = 0;
  for (const iovec& part : less) whole += part.iov_len;
  size_t left = Less(fault, whole);
  for (iovec& part : less) {
    part.iov_len = std::min(part.iov_len, left);
    left -= part.iov_len;
  }
  return less;
}

int SetOption(int fd, int level, int name, const void* value, socklen_t length) {
  std::optional<Fault> fault;
  if (level == IPPROTO_TCP && name == kTcpUlp) fault = Count(kUlp);
  if (level == kSolTls) fault = Count(kTlsTx);
  return fault ? Fail(*fault) : next.setsockopt(fd, level, name, value, length);
}

int GetOption(int fd, int level, int name, void* value, socklen_t* length) {
  const Point point = level == kSolTls      ? kKeyOut
                      : level != SOL_SOCKET ? kTcpInfo
                      : name == SO_MEMINFO  ? kSocketMemory
                                            : kSocketError;
  const std::optional<Fault> fault = Count(point);
  if (IsError(fault)) return Fail(*fault);
  const int result = next.getsockopt(fd, level, name, value, length);
  if (!fault || result != 0) return result;
  if (fault->action == kGone && point == kTcpInfo)
    static_cast<tcp_info*>(value)->tcpi_state = TCP_CLOSE;
  if (fault->action == kGone && point == kSocketError) *static_cast<int*>(value) = ECONNRESET;
  if (fault->action == kTake) *length = static_cast<socklen_t>(fault->value);
  return result;
}

ssize_t SendMessage(int fd, const msghdr* message, int flags) {
  const std::optional<Fault> fault = Count(message->msg_controllen > 0 ? kSendRecord : kSendData);
  if (IsError(fault)) return Fail(*fault);
  if (!fault || message->msg_iov[0].iov_len < 2) return next.sendmsg(fd, message, flags);
  std::vector<iovec> parts = Less(message->msg_iov, static_cast<int>(message->msg_iovlen), *fault);
  msghdr shorter = *message;
  shorter.msg_iov = parts.data();
  // What the kernel had no room for would have been of the same record.
  return next.sendmsg(fd, &shorter, flags | MSG_MORE);
}

ssize_t Receive(int fd, void* bytes, size_t length, int flags) {
  const std::optional<Fault> fault = Count(kReceive);
  if (IsError(fault)) return Fail(*fault);
  return next.recv(fd, bytes, fault ? Less(*fault, length) : length, flags);
}

ssize_t SendFile(int out, int in, off_t* offset, size_t count) {
  const std::optional<Fault> fault = Count(kSendFile);
  if (IsError(fault)) return Fail(*fault);
  if (fault) count = Less(*fault, count);
  return count == 0 ? 0 : next.sendfile(out, in, offset, count);
}

int ShutDown(int fd, int how) {
  const std::optional<Fault> fault = Count(kShutdown);
  return fault ? Fail(*fault) : next.shutdown(fd, how);
}

// Closes whatever it returns, as on Linux (man 2 close).
int Close(int fd) {
  const std::optional<Fault> fault = Count(kClose);
  const int result = next.close(fd);
  return fault ? Fail(*fault) : result;
}

int Duplicate(int fd) {
  const std::optional<Fault> fault = Count(kDuplicate);
  return fault ? Fail(*fault) : next.duplicate(fd);
}

int Unacknowledged(int fd, int* bytes) {
  const std::optional<Fault> fault = Count(kUnacknowledged);
  return fault ? Fail(*fault) : next.unacknowledged(fd, bytes);
}

int EpollCtl(int epoll, int operation, int fd, epoll_event* event) {
  const std::optional<Fault> fault = Count(kEpollCtl);
  return fault ? Fail(*fault) : next.epoll_ctl(epoll, operation, fd, event);
}

int64_t Cached(int fd, off_t offset, uint64_t length) {
  const std::optional<Fault> fault = Count(kCached);
  if (IsError(fault)) return Fail(*fault);
  return fault ? fault->value : next.cached(fd, offset, length);
}

// A byte is read for whether it can be; more, by the threads, for what is in it.
ssize_t Read(int fd, const iovec* parts, int count, off_t offset, int flags) {
  const bool is_piece = parts[0].iov_len > 1;
  const std::optional<Fault> fault = Count(
      flags == 0 ? (is_piece ? kReadPiece : kRead) : (is_piece ? kReadPieceCached : kReadCached));
  if (IsError(fault)) return Fail(*fault);
  if (!fault) return next.preadv2(fd, parts, count, offset, flags);
  return next.preadv2(fd, Less(parts, count, *fault).data(), count, offset, flags);
}

int Poll(pollfd* sockets, nfds_t count, int timeout) {
  const std::optional<Fault> fault = Count(kPoll);
  return fault ? Fail(*fault) : next.poll(sockets, count, timeout);
}

int64_t DeviceSockets() {
  const std::optional<Fault> fault = Count(kDeviceSockets);
  if (IsError(fault)) return -1;
  return fault ? fault->value : next.device_sockets();
}

int Statx(int fd, struct statx* found) {
  const std::optional<Fault> fault = Count(kStatx);
  return fault ? Fail(*fault) : next.statx(fd, found);
}

// As OpenSSL does it: what is left in the queue of this thread is the next one's who looks.
bool Refused(Point point) {
  if (!Count(point)) return false;
  ERR_new();
  ERR_set_error(ERR_LIB_EVP, ERR_R_INTERNAL_ERROR, nullptr);
  return true;
}

// `name` of the table fails as `point` says, with `failure`.
template <Point point, auto name, auto failure>
struct Refusing;
template <Point point, typename Result, typename... Arguments,
          Result (*OpenSsl::*name)(Arguments...), auto failure>
struct Refusing<point, name, failure> {
  static Result Call(Arguments... arguments) {
    return Refused(point) ? Result{failure} : (next_openssl.*name)(arguments...);
  }
  static void Install() { openssl.*name = Call; }
};

void InstallOpenSsl() {
  fastify_ktls::LoadOpenSsl();
  next_openssl = openssl;
  Refusing<kNewBio, &OpenSsl::BIO_new, nullptr>::Install();
  Refusing<kNewCipherContext, &OpenSsl::EVP_CIPHER_CTX_new, nullptr>::Install();
  Refusing<kCipherControl, &OpenSsl::EVP_CIPHER_CTX_ctrl, 0>::Install();
  Refusing<kFetchCipher, &OpenSsl::EVP_CIPHER_fetch, nullptr>::Install();
  Refusing<kEncryptInit, &OpenSsl::EVP_EncryptInit_ex, 0>::Install();
  Refusing<kEncryptUpdate, &OpenSsl::EVP_EncryptUpdate, 0>::Install();
  Refusing<kEncryptFinal, &OpenSsl::EVP_EncryptFinal_ex, 0>::Install();
  Refusing<kFetchKdf, &OpenSsl::EVP_KDF_fetch, nullptr>::Install();
  Refusing<kNewKdfContext, &OpenSsl::EVP_KDF_CTX_new, nullptr>::Install();
  Refusing<kDeriveKey, &OpenSsl::EVP_KDF_derive, 0>::Install();
  Refusing<kRandomBytes, &OpenSsl::RAND_bytes, 0>::Install();
}

void Install() {
  static std::once_flag once;
  std::call_once(once, [] {
    next = sys;
    sys = {SetOption, GetOption, SendMessage,    Receive,  SendFile, ShutDown,
           Close,     Duplicate, Unacknowledged, EpollCtl, Cached,   next.seals,
           Read,      Poll,      DeviceSockets,  Statx};
    InstallOpenSsl();
  });
}

// arm([[point, first, last, action, value], ...]): these and no others, counting anew.
void Arm(const Napi::CallbackInfo& info) {
  Install();
  const auto list = info[0].As<Napi::Array>();
  std::lock_guard<std::mutex> lock(mutex);
  faults.clear();
  std::fill(calls, calls + kPointCount, 0);
  std::fill(fired, fired + kPointCount, 0);
  for (uint32_t i = 0; i < list.Length(); i++) {
    const auto fault = Napi::Value(list.Get(i)).As<Napi::Array>();
    const auto number = [&](uint32_t index) {
      return Napi::Value(fault.Get(index)).As<Napi::Number>().Uint32Value();
    };
    faults.push_back({static_cast<Point>(number(0)), number(1), number(2),
                      static_cast<Action>(number(3)), static_cast<int>(number(4))});
  }
}

Napi::Value ToArray(Napi::Env env, const uint32_t (&counts)[kPointCount]) {
  Napi::Array array = Napi::Array::New(env);
  std::lock_guard<std::mutex> lock(mutex);
  for (uint32_t i = 0; i < kPointCount; i++) array.Set(i, counts[i]);
  return array;
}

// calls(): how often each point was called since; fired(): how often it met a fault.
Napi::Value Calls(const Napi::CallbackInfo& info) { return ToArray(info.Env(), calls); }
Napi::Value Fired(const Napi::CallbackInfo& info) { return ToArray(info.Env(), fired); }

napi_value Init(napi_env env, napi_value exports) {
  exports = NAPI_MODULE_INITIALIZER(env, exports);
  Napi::Object injector = Napi::Object::New(env);
  injector.Set("arm", Napi::Function::New(env, Arm, "arm"));
  injector.Set("calls", Napi::Function::New(env, Calls, "calls"));
  injector.Set("fired", Napi::Function::New(env, Fired, "fired"));
  Napi::Object(env, exports).Set("faults", injector);
  return exports;
}

[[gnu::constructor]] void Register() {
  static napi_module module = {NAPI_MODULE_VERSION, 0,       __FILE__, Init,
                               "fastify_ktls",      nullptr, {nullptr}};
  napi_module_register(&module);
}

}  // namespace

}  // namespace fastify_ktls_faults
