// What a transmit queue works off.
#ifndef FASTIFY_KTLS_TRANSMIT_TRANSMIT_ITEM_H_
#define FASTIFY_KTLS_TRANSMIT_TRANSMIT_ITEM_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "transmit/body_source.h"

namespace fastify_ktls {

// One step of an operation.
struct TransmitItem {
  enum class Kind { kBody, kAlert, kKeyUpdate, kShutdown };

  explicit TransmitItem(Kind kind) : kind(kind) {}
  static TransmitItem Body(std::unique_ptr<BodySource> source);
  static TransmitItem Alert(const uint8_t* bytes, size_t length);
  static TransmitItem KeyUpdate();
  // `receiving`: the client has not sent all of its request.
  static TransmitItem Shutdown(bool receiving);

  bool HasBody() const { return kind == Kind::kBody && body->remaining() > 0; }
  bool IsInMemory() const { return kind == Kind::kBody && body->IsInMemory(); }
  void Own() {
    if (body) body->Own();
  }

  Kind kind;
  bool more = false;     // the record may stay open for the next item
  bool settles = false;  // the last item of an operation
  bool receiving = false;
  std::unique_ptr<BodySource> body;
  std::vector<uint8_t> alert;
};

}  // namespace fastify_ktls

#endif  // FASTIFY_KTLS_TRANSMIT_TRANSMIT_ITEM_H_
