// OpenSSL frees what it has in an exit handler of its own, while our threads still run.
// Who seals holds a pass; our exit handler, which runs before OpenSSL's (it is registered
// later: man 3 atexit), waits for those that are out and gives no more.
#ifndef FASTIFY_KTLS_RECORDS_SEALING_GATE_H_
#define FASTIFY_KTLS_RECORDS_SEALING_GATE_H_

namespace fastify_ktls {

// To be called once OpenSSL is in use.
void OpenSealingGate();

class SealingPass {
 public:
  SealingPass();
  ~SealingPass();
  SealingPass(const SealingPass&) = delete;
  SealingPass& operator=(const SealingPass&) = delete;

  // False once the process exits.
  explicit operator bool() const { return open_; }

 private:
  bool open_;
};

}  // namespace fastify_ktls

#endif  // FASTIFY_KTLS_RECORDS_SEALING_GATE_H_
