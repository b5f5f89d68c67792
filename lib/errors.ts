import createError from '@fastify/error'

/** `options` holds a name or value that is not accepted. */
export const FST_KTLS_INVALID_OPTION = createError<[string]>(
  'FST_KTLS_INVALID_OPTION',
  '%s',
  500,
  TypeError
)

/** `mode: 'require'`, and this machine, runtime or instance cannot offload. */
export const FST_KTLS_UNAVAILABLE = createError<[string, string]>(
  'FST_KTLS_UNAVAILABLE',
  'kernel TLS is required but not available (%s): %s'
)

/** A second registration would count and decide everything twice. */
export const FST_KTLS_ALREADY_REGISTERED = createError<[]>(
  'FST_KTLS_ALREADY_REGISTERED',
  'fastify-ktls is already registered in this Fastify instance, or in one around it; register it once'
)

/** A consumer of the application's took data of a stream while its reply was prepared. */
export const FST_KTLS_STREAM_CONSUMED = createError<[]>(
  'FST_KTLS_STREAM_CONSUMED',
  'the payload was read by another consumer while its reply was prepared'
)

/** A file became shorter while it was sent, so its Content-Length cannot be kept. */
export const FST_KTLS_FILE_TRUNCATED = createError<[]>(
  'FST_KTLS_FILE_TRUNCATED',
  'the file became shorter while it was sent'
)

/** What was to be sent past a promoted connection's Writable is lost, so the connection ends. */
export const FST_KTLS_BYPASSED = createError<[]>(
  'FST_KTLS_BYPASSED',
  'something writes to the TLS handle of a promoted connection directly (TLS or HTTP/2 within it, for one), which has left OpenSSL, or puts other chunks in place of those that are written to its stream; keep such connections from sending files, by "config: { ktls: false }" on their routes'
)

/** `fastify-ktls/static` is registered, and @fastify/static, on which it builds, cannot be loaded. */
export const FST_KTLS_STATIC_MISSING = createError<[string]>(
  'FST_KTLS_STATIC_MISSING',
  'fastify-ktls/static needs @fastify/static, of version 8 or later; install it beside fastify-ktls: %s'
)
