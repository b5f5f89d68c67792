// What a transmit queue works off.
#ifndef FASTIFY_KTLS_TRANSMIT_TRANSMIT_ITEM_H_
#define FASTIFY_KTLS_TRANSMIT_TRANSMIT_ITEM_H_

#include <cstdint>
#include <memory>

#include "kernel/syscalls.h"

namespace fastify_ktls {

// One step of an operation. Data is borrowed from the caller until Own().
struct TransmitItem {
  enum class Kind { kData, kFile, kAlert, kKeyUpdate, kShutdown };

  static TransmitItem Data(const uint8_t* bytes, uint64_t length);
  static TransmitItem File(UniqueFd file, int64_t offset, uint64_t length);
  static TransmitItem Alert(const uint8_t* bytes, uint64_t length);
  static TransmitItem KeyUpdate();
  // `receiving`: the client has not sent all of its request.
  static TransmitItem Shutdown(bool receiving);

  void Own();

  Kind kind = Kind::kShutdown;
  bool more = false;     // the record may stay open for the next item
  bool settles = false;  // the last item of an operation
  bool receiving = false;
  const uint8_t* bytes = nullptr;
  std::unique_ptr<uint8_t[]> owned;
  UniqueFd file;
  int64_t offset = 0;
  uint64_t remaining = 0;
  int64_t cached_until = 0;  // what IsCached() has said of the file
};

}  // namespace fastify_ktls

#endif  // FASTIFY_KTLS_TRANSMIT_TRANSMIT_ITEM_H_
