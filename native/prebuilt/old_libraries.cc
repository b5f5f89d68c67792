// What the headers of Debian 12 refer to and older libraries do not have.
#include <sys/single_threaded.h>

#include <cstdlib>

#define FASTIFY_KTLS_LOCAL __attribute__((visibility("hidden")))

// glibc 2.32: whether atomics can be left out. They cannot, in a process of Node's.
extern "C" {
extern FASTIFY_KTLS_LOCAL char __libc_single_threaded;
char __libc_single_threaded = 0;
}

// GLIBCXX_3.4.29: for an allocation of more than there are addresses. Nothing
// here could catch the exception either.
namespace std {
FASTIFY_KTLS_LOCAL void __throw_bad_array_new_length() { abort(); }
}  // namespace std
