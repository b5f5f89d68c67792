/*
 * Every record that the sealer makes is opened by another implementation, which takes
 * number, nonce and additional data from the RFCs and not from what was sent.
 */
import { createDecipheriv, randomBytes } from 'node:crypto'
import t from 'tap'
import { CIPHERS, seal } from '../support/native-parts'
import type { Cipher, Plain, Version } from '../support/native-parts'
import { CONTENT } from '../support/record-client'

const HEADER = 5
const TAG = 16
const EXPLICIT = 8
const LAST_NUMBER = 2n ** 64n - 1n

function keyFor (cipher: Cipher): Buffer {
  return randomBytes(cipher === 'aes-128-gcm' ? 16 : 32)
}

function number (value: bigint): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt.asUintN(64, value))
  return bytes
}

/** RFC 8446 5.3 and RFC 7905 2. */
function xored (iv: Buffer, sequence: bigint): Buffer {
  return Buffer.concat([iv.subarray(0, 4), number(iv.readBigUInt64BE(4) ^ sequence)])
}

/** Throws unless the record is under this key and number. */
function open (cipher: Cipher, key: Buffer, nonce: Buffer, additional: Buffer, sealed: Buffer): Buffer {
  const decipher = createDecipheriv(cipher as 'aes-128-gcm', key, nonce, { authTagLength: TAG })
  decipher.setAAD(additional)
  decipher.setAuthTag(sealed.subarray(-TAG))
  return Buffer.concat([decipher.update(sealed.subarray(0, -TAG)), decipher.final()])
}

/** RFC 8446 5.2. */
function open13 (cipher: Cipher, key: Buffer, iv: Buffer, sequence: bigint, record: Buffer): Plain {
  const inner = open(cipher, key, xored(iv, sequence), record.subarray(0, HEADER), record.subarray(HEADER))
  return [inner.at(-1)!, inner.subarray(0, -1)]
}

/** RFC 5246 6.2.3.3, RFC 5288 3, RFC 7905 2. */
function open12 (cipher: Cipher, key: Buffer, iv: Buffer, sequence: bigint, record: Buffer): Plain {
  const explicit = cipher === 'chacha20-poly1305' ? 0 : EXPLICIT
  const nonce = explicit > 0 ? Buffer.concat([iv.subarray(0, 4), record.subarray(HEADER, HEADER + explicit)]) : xored(iv, sequence)
  const length = Buffer.alloc(2)
  length.writeUInt16BE(record.length - HEADER - explicit - TAG)
  const additional = Buffer.concat([number(sequence), record.subarray(0, 3), length])
  return [record[0]!, open(cipher, key, nonce, additional, record.subarray(HEADER + explicit))]
}

function openAs (version: Version) {
  return version === 'TLSv1.3' ? open13 : open12
}

/** Where no promotion may come without a number: the first records, and far into a connection. */
const STARTS = [0n, 1n, 255n, 2n ** 32n - 2n, 2n ** 56n - 1n]

const CONTENTS: readonly Plain[] = [
  [CONTENT.data, Buffer.alloc(0)],
  [CONTENT.data, Buffer.from('x')],
  [CONTENT.data, randomBytes(16_384)],
  [CONTENT.handshake, Buffer.from([24, 0, 0, 1, 0])],
  [CONTENT.data, Buffer.alloc(16_384)],
  [CONTENT.data, randomBytes(15)],
  [CONTENT.data, randomBytes(16)],
  [CONTENT.data, randomBytes(17)],
  [CONTENT.alert, Buffer.from([1, 0])]
]

const VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const

for (const version of VERSIONS) {
  for (const cipher of CIPHERS) {
    const explicit = version === 'TLSv1.2' && cipher !== 'chacha20-poly1305'

    t.test(`${version} ${cipher}: each record, its numbers running on`, async t => {
      for (const start of STARTS) {
        const [key, iv] = [keyFor(cipher), randomBytes(12)]
        const records = seal(version, cipher, [key, iv, start], ...CONTENTS)
        t.equal(records.length, CONTENTS.length)
        for (const [index, record] of records.entries()) {
          const [type, content] = CONTENTS[index]!
          t.strictSame(openAs(version)(cipher, key, iv, start + BigInt(index), record), [type, content], `${content.length} bytes as number ${start + BigInt(index)}`)
          t.strictSame([record[0], record.readUInt16BE(1), record.readUInt16BE(3)], [version === 'TLSv1.3' ? CONTENT.data : type, 0x303, record.length - HEADER], 'header')
          t.equal(record.length, HEADER + (explicit ? EXPLICIT : 0) + content.length + (version === 'TLSv1.3' ? 1 : 0) + TAG, 'size')
        }
      }
    })

    t.test(`${version} ${cipher}: under no other number, and not as another type`, async t => {
      const [key, iv] = [keyFor(cipher), randomBytes(12)]
      const [record] = seal(version, cipher, [key, iv, 5n], [CONTENT.data, Buffer.from('some data')])
      for (const other of [4n, 6n]) t.throws(() => openAs(version)(cipher, key, iv, other, record!), `number ${other}`)
      const forged = Buffer.from(record!)
      forged[0] = CONTENT.alert
      t.throws(() => openAs(version)(cipher, key, iv, 5n, forged))
    })

    t.test(`${version} ${cipher}: another key starts with its own number and iv`, async t => {
      const keys = [0n, 0n, 77n].map(sequence => [keyFor(cipher), randomBytes(12), sequence] as const)
      const [first, ...later] = keys
      const records = seal(version, cipher, first!, ...CONTENTS, ...later.flatMap(key => [key, ...CONTENTS]))
      t.equal(records.length, keys.length * CONTENTS.length)
      for (const [index, record] of records.entries()) {
        const [key, iv, start] = keys[Math.floor(index / CONTENTS.length)]!
        const at = index % CONTENTS.length
        t.strictSame(openAs(version)(cipher, key, iv, start + BigInt(at), record), CONTENTS[at], `record ${index}`)
        if (explicit) t.equal(record.readBigUInt64BE(HEADER), BigInt.asUintN(64, iv.readBigUInt64BE(4) + BigInt(at)), 'explicit nonce')
      }
    })
  }
}

t.test('the same number twice gives the same record: all that is new in a nonce is its number', async t => {
  for (const version of VERSIONS) {
    for (const cipher of CIPHERS) {
      const start = [keyFor(cipher), randomBytes(12), 9n] as const
      const content: Plain = [CONTENT.data, Buffer.from('some data')]
      const [one, two, again] = seal(version, cipher, start, content, content, start, content)
      t.strictSame(again, one, `${version} ${cipher}`)
      t.notSame(two, one, `${version} ${cipher}, the next one`)
    }
  }
})

// RFC 5288 3: an explicit nonce is never used twice under a key.
t.test('explicit nonces count up from the first, also past the end, and none comes twice', async t => {
  const COUNT = 3000
  const content: Plain = [CONTENT.data, Buffer.from('x')]
  for (const cipher of ['aes-128-gcm', 'aes-256-gcm'] as const) {
    for (const first of [0n, 0xffn, 2n ** 32n - 5n, 2n ** 63n - 5n, LAST_NUMBER - 5n, LAST_NUMBER]) {
      for (const start of [0n, 12n]) {
        const [key, iv] = [keyFor(cipher), Buffer.concat([randomBytes(4), number(first)])]
        const records = seal('TLSv1.2', cipher, [key, iv, start], ...Array.from({ length: COUNT }, () => content))
        const nonces = records.map(record => record.readBigUInt64BE(HEADER))
        const expected = nonces.map((_, index) => BigInt.asUintN(64, first + BigInt(index)))
        t.ok(nonces.every((nonce, index) => nonce === expected[index]), `${cipher} from ${first}, number ${start}`)
        t.equal(new Set(nonces).size, COUNT)
        t.ok(records.every((record, index) => open12(cipher, key, iv, start + BigInt(index), record)[1].equals(content[1])), 'and all can be opened')
      }
    }
  }
})
