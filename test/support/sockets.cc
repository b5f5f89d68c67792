// What tests do to sockets and Node cannot. setOption(fd, level, name, value):
// man 2 setsockopt, of a number. For a client that costs next to nothing: duplicate(fd) gives a
// connection a descriptor that Node does not know of. discard(fd, count) receives so many bytes at
// least, or all to the end of the connection, and has the kernel throw them away (man 7 tcp,
// MSG_TRUNC); it blocks, and returns how many, or a negative errno.
#include <napi.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>

static int64_t Receive(int fd, int64_t count) {
  constexpr size_t kMost = size_t{1} << 20;
  int64_t total = 0;
  while (total < count) {
    const ssize_t got = recv(fd, nullptr, kMost, MSG_TRUNC | MSG_DONTWAIT);
    if (got == 0) break;
    if (got > 0) {
      total += got;
    } else if (errno == EAGAIN) {
      pollfd socket = {fd, POLLIN, 0};
      poll(&socket, 1, -1);
    } else if (errno != EINTR) {
      return -errno;
    }
  }
  return total;
}

static Napi::Value Discard(const Napi::CallbackInfo& call) {
  const int fd = call[0].As<Napi::Number>().Int32Value();
  const int64_t count = call[1].As<Napi::Number>().Int64Value();
  return Napi::Number::New(call.Env(), static_cast<double>(Receive(fd, count)));
}

static Napi::Value Duplicate(const Napi::CallbackInfo& call) {
  return Napi::Number::New(call.Env(), dup(call[0].As<Napi::Number>().Int32Value()));
}

static Napi::Value SetOption(const Napi::CallbackInfo& call) {
  const auto number = [&](size_t i) { return call[i].As<Napi::Number>().Int32Value(); };
  const int value = number(3);
  return Napi::Boolean::New(
      call.Env(), setsockopt(number(0), number(1), number(2), &value, sizeof(value)) == 0);
}

static Napi::Object Init(Napi::Env env, Napi::Object exports) {
  exports.Set("duplicate", Napi::Function::New<Duplicate>(env));
  exports.Set("setOption", Napi::Function::New<SetOption>(env));
  exports.Set("discard", Napi::Function::New<Discard>(env));
  return exports;
}

NODE_API_MODULE(sockets, Init)
