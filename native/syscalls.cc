#include "syscalls.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>

namespace fastify_ktls {

namespace {

int Duplicate(int fd) { return fcntl(fd, F_DUPFD_CLOEXEC, 0); }

int Unacknowledged(int fd, int* bytes) { return ioctl(fd, SIOCOUTQ, bytes); }

}  // namespace

Syscalls sys = {
    ::setsockopt, ::getsockopt, ::sendmsg,      ::sendfile,  ::shutdown,
    ::close,      Duplicate,    Unacknowledged, ::epoll_ctl, ::preadv2,
};

}  // namespace fastify_ktls
