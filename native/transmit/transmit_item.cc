#include "transmit/transmit_item.h"

#include <utility>

namespace fastify_ktls {

TransmitItem TransmitItem::Body(std::unique_ptr<BodySource> source) {
  TransmitItem item(Kind::kBody);
  item.body = std::move(source);
  return item;
}

TransmitItem TransmitItem::Alert(const uint8_t* bytes, size_t length) {
  TransmitItem item(Kind::kAlert);
  item.alert.assign(bytes, bytes + length);
  return item;
}

TransmitItem TransmitItem::KeyUpdate() { return TransmitItem(Kind::kKeyUpdate); }

TransmitItem TransmitItem::Shutdown(bool receiving) {
  TransmitItem item(Kind::kShutdown);
  item.receiving = receiving;
  return item;
}

}  // namespace fastify_ktls
