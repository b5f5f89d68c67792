// Included before every source of a prebuilt addon (prebuilt.gypi): asks
// for the oldest version of each symbol that Debian 12's libraries have a newer
// one of. The functions themselves are the same.
#if defined(__x86_64__)
#define FASTIFY_KTLS_FIRST_GLIBC "GLIBC_2.2.5"
#define FASTIFY_KTLS_SETNAME_GLIBC "GLIBC_2.12"
#elif defined(__aarch64__)
#define FASTIFY_KTLS_FIRST_GLIBC "GLIBC_2.17"
#define FASTIFY_KTLS_SETNAME_GLIBC "GLIBC_2.17"
#endif

#define FASTIFY_KTLS_VERSION(name, version) __asm__(".symver " #name "," #name "@" version)

// glibc 2.34 moved these out of libpthread and libdl, which every Node loads
// where they are libraries of their own; 2.32 moved pthread_sigmask.
FASTIFY_KTLS_VERSION(dlsym, FASTIFY_KTLS_FIRST_GLIBC);
FASTIFY_KTLS_VERSION(pthread_create, FASTIFY_KTLS_FIRST_GLIBC);
FASTIFY_KTLS_VERSION(pthread_detach, FASTIFY_KTLS_FIRST_GLIBC);
FASTIFY_KTLS_VERSION(pthread_once, FASTIFY_KTLS_FIRST_GLIBC);
FASTIFY_KTLS_VERSION(pthread_setname_np, FASTIFY_KTLS_SETNAME_GLIBC);
FASTIFY_KTLS_VERSION(pthread_sigmask, FASTIFY_KTLS_FIRST_GLIBC);

// std::condition_variable::wait, which gcc 12 declared noexcept.
FASTIFY_KTLS_VERSION(_ZNSt18condition_variable4waitERSt11unique_lockISt5mutexE, "GLIBCXX_3.4.11");
