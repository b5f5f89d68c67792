#include "transmit/transmit_item.h"

#include <cstring>

namespace fastify_ktls {

TransmitItem TransmitItem::Data(const uint8_t* bytes, uint64_t length) {
  TransmitItem item;
  item.kind = Kind::kData;
  item.bytes = bytes;
  item.remaining = length;
  return item;
}

TransmitItem TransmitItem::File(UniqueFd file, int64_t offset, uint64_t length) {
  TransmitItem item;
  item.kind = Kind::kFile;
  item.file = std::move(file);
  item.offset = offset;
  item.remaining = length;
  return item;
}

TransmitItem TransmitItem::Alert(const uint8_t* bytes, uint64_t length) {
  TransmitItem item = Data(bytes, length);
  item.kind = Kind::kAlert;
  item.Own();
  return item;
}

TransmitItem TransmitItem::KeyUpdate() {
  TransmitItem item;
  item.kind = Kind::kKeyUpdate;
  return item;
}

TransmitItem TransmitItem::Shutdown(bool receiving) {
  TransmitItem item;
  item.receiving = receiving;
  return item;
}

void TransmitItem::Own() {
  if (bytes == nullptr || owned || remaining == 0) return;
  owned.reset(new uint8_t[remaining]);
  memcpy(owned.get(), bytes, remaining);
  bytes = owned.get();
}

}  // namespace fastify_ktls
