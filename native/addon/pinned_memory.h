// The memory of an ArrayBuffer, kept in its place for other threads to read. Node-API has
// nothing of the kind: an object that is kept alive can still be detached, by transfer() or
// postMessage(), and its memory be freed by who gets it.
#ifndef FASTIFY_KTLS_ADDON_PINNED_MEMORY_H_
#define FASTIFY_KTLS_ADDON_PINNED_MEMORY_H_

#include <napi.h>

#include <memory>

namespace fastify_ktls {

// Its backing store (v8-array-buffer.h, ArrayBuffer::GetBackingStore()), whatever becomes of
// the ArrayBuffer. Null where the store can shrink (resizable), where several threads write
// (SharedArrayBuffer), where it is a program's own (WebAssembly), and in runtimes that do not
// export V8's functions as Node does.
std::shared_ptr<const void> PinMemory(const Napi::ArrayBuffer& buffer);

// Whether ArrayBuffer.prototype.transfer() to another length reallocates the memory, pinned or
// not (v8-array-buffer.h, BackingStore::Reallocate()).
bool TransferMovesPinned();

}  // namespace fastify_ktls

#endif  // FASTIFY_KTLS_ADDON_PINNED_MEMORY_H_
