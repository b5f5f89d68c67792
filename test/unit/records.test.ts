import t from 'tap'
import { RecordWatch } from '../support/records'

const HANDSHAKE = 22
const DATA = 23
const ALERT = 21

function record (type: number, length: number): Buffer {
  const bytes = Buffer.alloc(5 + length, 0xee)
  bytes.writeUInt8(type, 0)
  bytes.writeUInt16BE(0x0303, 1)
  bytes.writeUInt16BE(length, 3)
  return bytes
}

/** A sealed alert of TLS 1.3 looks like 2 bytes of data. */
const SEALED_ALERT = record(DATA, 19)

const STREAMS: ReadonlyArray<[string, Buffer[], boolean]> = [
  ['nothing', [], false],
  ['data alone', [record(DATA, 100)], false],
  ['an alert of TLS 1.2', [record(HANDSHAKE, 80), record(DATA, 16401), record(ALERT, 26)], true],
  ['an alert of TLS 1.3', [record(HANDSHAKE, 80), record(DATA, 16401), SEALED_ALERT], true],
  ['an empty record at last', [record(DATA, 0)], false],
  ['data after an alert', [SEALED_ALERT, record(DATA, 100)], false],
  ['a record cut in its header', [SEALED_ALERT, record(DATA, 100).subarray(0, 3)], false],
  ['a record cut in its body', [record(DATA, 100), SEALED_ALERT.subarray(0, 20)], false],
  ['a body that looks like an alert', [Buffer.concat([record(DATA, 24).subarray(0, 5), SEALED_ALERT])], false]
]

t.test('whether a connection ended with an alert', async t => {
  for (const [what, records, expected] of STREAMS) {
    const bytes = Buffer.concat(records)
    for (const step of [1, 4, 5, 7, 1000, bytes.length || 1]) {
      const watch = new RecordWatch()
      for (let at = 0; at < bytes.length; at += step) watch.see(bytes.subarray(at, at + step))
      t.equal(watch.endsWithAlert(), expected, `${what}, in pieces of ${step}`)
    }
  }
})
