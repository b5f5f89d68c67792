import { generateKeyPairSync, randomBytes, sign } from 'node:crypto'

export interface Certificate {
  /** Both in PEM. */
  readonly key: string
  readonly cert: string
}

/** For how long to both sides of now, in milliseconds: clocks do not matter here. */
const VALIDITY = 24 * 60 * 60 * 1000

/**
 * A self-signed certificate for "localhost" with a new P-256 key: X.509 version 1
 * (RFC 5280 4.1) in DER (ITU-T X.690), which Node itself cannot make. Good for one
 * measurement on the loopback interface, whose client trusts this certificate alone.
 */
export function makeCertificate (now = Date.now()): Certificate {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const content = sequence(
    serialNumber(),
    ECDSA_WITH_SHA256,
    NAME,
    sequence(utcTime(now - VALIDITY), utcTime(now + VALIDITY)),
    NAME,
    publicKey.export({ type: 'spki', format: 'der' })
  )
  const signature = element(TAG.bitString, Buffer.of(0), sign('sha256', content, privateKey))
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    cert: pem(sequence(content, ECDSA_WITH_SHA256, signature))
  }
}

const TAG = { integer: 0x02, bitString: 0x03, objectIdentifier: 0x06, utf8String: 0x0c, utcTime: 0x17, sequence: 0x30, set: 0x31 } as const

function element (tag: number, ...content: readonly Uint8Array[]): Buffer {
  const bytes = Buffer.concat(content)
  const { length } = bytes
  // Lengths from 128 on are preceded by the number of their own bytes.
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.of(tag, ...size), bytes])
}

function sequence (...content: readonly Uint8Array[]): Buffer {
  return element(TAG.sequence, ...content)
}

/** 1.2.840.10045.4.3.2, RFC 5758 3.2. */
const ECDSA_WITH_SHA256 = sequence(element(TAG.objectIdentifier, Buffer.from('2a8648ce3d040302', 'hex')))

/** The common name, 2.5.4.3. */
const NAME = sequence(element(TAG.set, sequence(
  element(TAG.objectIdentifier, Buffer.from('550403', 'hex')),
  element(TAG.utf8String, Buffer.from('localhost'))
)))

/** 8 bytes, positive. */
function serialNumber (): Buffer {
  return element(TAG.integer, Buffer.of(1), randomBytes(7))
}

/** YYMMDDHHMMSSZ, which is enough until 2049. */
function utcTime (time: number): Buffer {
  const digits = new Date(time).toISOString().replace(/\.\d+Z$/, '').replace(/\D/g, '').slice(2)
  return element(TAG.utcTime, Buffer.from(`${digits}Z`))
}

function pem (der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g)!
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n')
}
