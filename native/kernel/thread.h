// Threads of our own, outside libuv's pool.
#ifndef FASTIFY_KTLS_KERNEL_THREAD_H_
#define FASTIFY_KTLS_KERNEL_THREAD_H_

namespace fastify_ktls {

// Starts a thread that nobody joins. It gets no signals, which belong to the
// threads that Node made. 0 or a negative errno.
int StartThread(const char* name, void* (*run)(void*), void* argument);

}  // namespace fastify_ktls

#endif  // FASTIFY_KTLS_KERNEL_THREAD_H_
