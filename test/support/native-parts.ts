import { join } from 'node:path'
import { SUITES } from './record-client'

/** A record to seal: content type, plaintext. */
export type Plain = readonly [type: number, content: Buffer]
/** Another key; of TLS 1.2 with GCM the iv is the salt and the first explicit nonce. */
export type NewKey = readonly [key: Buffer, iv: Buffer, sequence: bigint]

interface NativeParts {
  seal (version: number, cipher: number, steps: ReadonlyArray<Plain | NewKey>): Buffer[]
  processorsInQuota (quota: string): number
}

const parts: NativeParts = require(join(__dirname, '../../../native/build/Release/native_parts.node'))

export const VERSIONS = { 'TLSv1.2': 0x303, 'TLSv1.3': 0x304 } as const
export type Version = keyof typeof VERSIONS

/** In the order of kCiphers in native/openssl/keys.h. */
export const CIPHERS = Object.values(SUITES).map(({ cipher }) => cipher)
export type Cipher = typeof CIPHERS[number]

/** What a Sealer (native/records/sealer.h) makes of these. */
export function seal (version: Version, cipher: Cipher, key: NewKey, ...steps: ReadonlyArray<Plain | NewKey>): Buffer[] {
  return parts.seal(VERSIONS[version], CIPHERS.indexOf(cipher), [key, ...steps])
}

export const { processorsInQuota } = parts
