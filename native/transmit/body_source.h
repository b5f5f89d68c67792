// Where the bytes of a body come from: memory, or a range of a file.
#ifndef FASTIFY_KTLS_TRANSMIT_BODY_SOURCE_H_
#define FASTIFY_KTLS_TRANSMIT_BODY_SOURCE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "records/record_layer.h"

namespace fastify_ktls {

class BodySource {
 public:
  explicit BodySource(uint64_t length) : remaining_(length) {}
  virtual ~BodySource() = default;
  BodySource(const BodySource&) = delete;
  BodySource& operator=(const BodySource&) = delete;

  uint64_t remaining() const { return remaining_; }

  // How many of the next `length` bytes are there without waiting for a disk.
  virtual uint64_t AtHand(uint64_t length) = 0;
  // Whether only memory is read, which the caller's thread may do.
  virtual bool IsInMemory() const = 0;

  // Has the records take some of it, at most `length` bytes.
  Sent SendTo(RecordLayer& records, uint64_t length, bool more, bool patient) {
    const Sent sent = Send(records, length, more, patient);
    if (sent.bytes > 0) remaining_ -= static_cast<uint64_t>(sent.bytes);
    return sent;
  }

  // Waits until some of the next bytes are there, `length` at most. Only where a thread may wait.
  virtual void BringIn(uint64_t length) = 0;
  // The client is waited for: what was at hand may go meanwhile.
  virtual void Pause() {}
  // What was borrowed from the caller, the source makes its own.
  virtual void Own() {}

 private:
  virtual Sent Send(RecordLayer& records, uint64_t length, bool more, bool patient) = 0;

  uint64_t remaining_;
};

class DataBody : public BodySource {
 public:
  // Borrows the bytes until Own(), or for as long as they are `pinned`.
  DataBody(const uint8_t* bytes, uint64_t length, std::shared_ptr<const void> pinned = nullptr)
      : BodySource(length), bytes_(bytes), pinned_(std::move(pinned)) {}
  DataBody(std::unique_ptr<uint8_t[]> owned, uint64_t length)
      : BodySource(length), bytes_(owned.get()), owned_(std::move(owned)) {}

  uint64_t AtHand(uint64_t length) override { return length; }
  bool IsInMemory() const override { return true; }
  void BringIn(uint64_t) override {}
  void Own() override;

 private:
  Sent Send(RecordLayer& records, uint64_t length, bool more, bool patient) override;

  const uint8_t* bytes_;
  const std::shared_ptr<const void> pinned_;
  std::unique_ptr<uint8_t[]> owned_;
};

class FileBody : public BodySource {
 public:
  FileBody(UniqueFd file, int64_t offset, uint64_t length)
      : BodySource(length), file_(std::move(file)), offset_(offset) {}
  // Closes the file, by a thread that may wait unless the page cache has answered for it.
  ~FileBody() override;

  uint64_t AtHand(uint64_t length) override;
  bool IsInMemory() const override { return false; }
  void BringIn(uint64_t length) override;
  void Pause() override;

 private:
  Sent Send(RecordLayer& records, uint64_t length, bool more, bool patient) override;

  UniqueFd file_;
  int64_t offset_;
  int64_t at_hand_until_ = 0;
  uint64_t ahead_ = 256 * 1024;  // to bring in next
  bool answers_ = false;         // the page cache does, for this file
  bool brought_in_ = false;      // what is at hand, by BringIn()
  std::optional<Sent> failed_;
};

}  // namespace fastify_ktls

#endif  // FASTIFY_KTLS_TRANSMIT_BODY_SOURCE_H_
