/*
 * The sealer against published values: RFC 8448, whose records it has to make byte for
 * byte, and the ciphertexts of NIST's GCM and of RFC 8439. Of the latter the additional
 * data are not those of a TLS record, so their tags are others.
 */
import t from 'tap'
import { seal } from '../support/native-parts'
import type { Cipher, NewKey, Version } from '../support/native-parts'
import { CONTENT, RecordKeys, SUITES } from '../support/record-client'

function hex (text: string): Buffer {
  return Buffer.from(text.replace(/\s/g, ''), 'hex')
}

/** RFC 8448 3, "{server} derive write traffic keys for application data". */
const RFC8448 = {
  secret: hex('a1 1a f9 f0 55 31 f8 56 ad 47 11 6b 45 a9 50 32 82 04 b4 f4 4b fb 6b 3a 4b 4f 1f 3f cb 63 16 43'),
  key: hex('9f 02 28 3b 6c 9c 07 ef c2 6b b9 f2 ac 92 e3 56'),
  iv: hex('cf 78 2b 88 dd 83 54 9a ad f1 e9 84')
}

/** RFC 8448 3: what the server sends under that key, with the plaintext that goes into each record. */
const RECORDS = [
  {
    name: 'NewSessionTicket',
    type: CONTENT.handshake,
    content: hex(`
      04 00 00 c9 00 00 00 1e fa d6 aa c5 02 00 00 00 b2 2c 03 5d 82 93 59 ee 5f f7 af 4e c9 00 00 00
      00 26 2a 64 94 dc 48 6d 2c 8a 34 cb 33 fa 90 bf 1b 00 70 ad 3c 49 88 83 c9 36 7c 09 a2 be 78 5a
      bc 55 cd 22 60 97 a3 a9 82 11 72 83 f8 2a 03 a1 43 ef d3 ff 5d d3 6d 64 e8 61 be 7f d6 1d 28 27
      db 27 9c ce 14 50 77 d4 54 a3 66 4d 4e 6d a4 d2 9e e0 37 25 a6 a4 da fc d0 fc 67 d2 ae a7 05 29
      51 3e 3d a2 67 7f a5 90 6c 5b 3f 7d 8f 92 f2 28 bd a4 0d da 72 14 70 f9 fb f2 97 b5 ae a6 17 64
      6f ac 5c 03 27 2e 97 07 27 c6 21 a7 91 41 ef 5f 7d e6 50 5e 5b fb c3 88 e9 33 43 69 40 93 93 4a
      e4 d3 57 00 08 00 2a 00 04 00 00 04 00`),
    record: hex(`
      17 03 03 00 de 3a 6b 8f 90 41 4a 97 d6 95 9c 34 87 68 0d e5 13 4a 2b 24 0e 6c ff ac 11 6e 95 d4
      1d 6a f8 f6 b5 80 dc f3 d1 1d 63 c7 58 db 28 9a 01 59 40 25 2f 55 71 3e 06 1d c1 3e 07 88 91 a3
      8e fb cf 57 53 ad 8e f1 70 ad 3c 73 53 d1 6d 9d a7 73 b9 ca 7f 2b 9f a1 b6 c0 d4 a3 d0 3f 75 e0
      9c 30 ba 1e 62 97 2a c4 6f 75 f7 b9 81 be 63 43 9b 29 99 ce 13 06 46 15 13 98 91 d5 e4 c5 b4 06
      f1 6e 3f c1 81 a7 7c a4 75 84 00 25 db 2f 0a 77 f8 1b 5a b0 5b 94 c0 13 46 75 5f 69 23 2c 86 51
      9d 86 cb ee ac 87 aa c3 47 d1 43 f9 60 5d 64 f6 50 db 4d 02 3e 70 e9 52 ca 49 fe 51 37 12 1c 74
      bc 26 97 68 7e 24 87 46 d6 df 35 30 05 f3 bc e1 86 96 12 9c 81 53 55 6b 3b 6c 67 79 b3 7b f1 59
      85 68 4f`)
  },
  {
    name: 'application data',
    type: CONTENT.data,
    content: Buffer.from(Array.from({ length: 50 }, (_, index) => index)),
    record: hex(`
      17 03 03 00 43 2e 93 7e 11 ef 4a c7 40 e5 38 ad 36 00 5f c4 a4 69 32 fc 32 25 d0 5f 82 aa 1b 36
      e3 0e fa f9 7d 90 e6 df fc 60 2d cb 50 1a 59 a8 fc c4 9c 4b f2 e5 f0 a2 1c 00 47 c2 ab f3 32 54
      0d d0 32 e1 67 c2 95 5d`)
  },
  {
    name: 'close_notify',
    type: CONTENT.alert,
    content: hex('01 00'),
    record: hex('17 03 03 00 13 b5 8f d6 71 66 eb f5 99 d2 47 20 cf be 7e fa 7a 88 64 a9')
  }
] as const

t.test('RFC 8448 3: the three records of the server, by one sealer', async t => {
  const { key, iv } = RFC8448
  const records = seal('TLSv1.3', 'aes-128-gcm', [key, iv, 0n], ...RECORDS.map(({ type, content }) => [type, content] as const))
  RECORDS.forEach(({ name, record }, index) => t.equal(records[index]!.toString('hex'), record.toString('hex'), name))
})

t.test('RFC 8448 3: each record alone, by its number', async t => {
  const { key, iv } = RFC8448
  RECORDS.forEach(({ name, type, content, record }, index) => {
    t.strictSame(seal('TLSv1.3', 'aes-128-gcm', [key, iv, BigInt(index)], [type, content]), [record], name)
  })
})

t.test('RFC 8448 3: the client that other tests open records with gets key and plaintext from the secret', async t => {
  const keys = new RecordKeys(SUITES.TLS_AES_128_GCM_SHA256!, RFC8448.secret)
  t.strictSame(keys.key, RFC8448.key)
  for (const { name, type, content, record } of RECORDS) t.strictSame(keys.open(record), { type, content }, name)
})

/** The plaintext of test cases 3 and 15 of "The Galois/Counter Mode of Operation (GCM)", McGrew and Viega, which NIST SP 800-38D refers to. */
const GCM_PLAINTEXT = hex(`
  d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72
  1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255`)
const GCM_IV = hex('cafebabefacedbaddecaf888')

interface Vector {
  readonly name: string
  readonly cipher: Cipher
  readonly key: Buffer
  readonly iv: Buffer
  readonly plaintext: Buffer
  readonly ciphertext: Buffer
}

const VECTORS: readonly Vector[] = [
  {
    name: 'test case 3 of GCM',
    cipher: 'aes-128-gcm',
    key: hex('feffe9928665731c6d6a8f9467308308'),
    iv: GCM_IV,
    plaintext: GCM_PLAINTEXT,
    ciphertext: hex(`
      42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e
      21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091473f5985`)
  },
  {
    name: 'test case 15 of GCM',
    cipher: 'aes-256-gcm',
    key: hex('feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308'),
    iv: GCM_IV,
    plaintext: GCM_PLAINTEXT,
    ciphertext: hex(`
      522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa
      8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad`)
  },
  {
    name: 'RFC 8439 2.8.2',
    cipher: 'chacha20-poly1305',
    key: Buffer.from(Array.from({ length: 32 }, (_, index) => 0x80 + index)),
    iv: hex('070000004041424344454647'),
    plaintext: Buffer.from("Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it."),
    ciphertext: hex(`
      d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6
      3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36
      92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc
      3ff4def08e4b7a9de576d26586cec64b6116`)
  }
]

/** An iv that makes the vector's nonce that of a record with this number (RFC 8446 5.3, RFC 7905 2). */
function ivFor (iv: Buffer, sequence: bigint): Buffer {
  const changed = Buffer.from(iv)
  changed.writeBigUInt64BE(changed.readBigUInt64BE(4) ^ sequence, 4)
  return changed
}

const HEADER = 5
const TAG = 16

for (const { name, cipher, key, iv, plaintext, ciphertext } of VECTORS) {
  const cases: ReadonlyArray<[version: Version, start: NewKey]> = cipher === 'chacha20-poly1305'
    ? [['TLSv1.2', [key, ivFor(iv, 7n), 7n]], ['TLSv1.3', [key, ivFor(iv, 7n), 7n]]]
    // Its number is not in the nonce of TLS 1.2 with GCM (RFC 5288 3).
    : [['TLSv1.2', [key, iv, 7n]], ['TLSv1.3', [key, ivFor(iv, 7n), 7n]]]
  for (const [version, start] of cases) {
    t.test(`${name}: the same ciphertext, ${version}`, async t => {
      const [record] = seal(version, cipher, start, [CONTENT.data, plaintext])
      const explicit = version === 'TLSv1.2' && cipher !== 'chacha20-poly1305' ? 8 : 0
      const body = record!.subarray(HEADER)
      t.strictSame(body.subarray(0, explicit), iv.subarray(4, 4 + explicit), 'explicit nonce')
      t.strictSame(body.subarray(explicit, explicit + plaintext.length), ciphertext)
      t.equal(body.length, explicit + plaintext.length + (version === 'TLSv1.3' ? 1 : 0) + TAG)
    })
  }
}
