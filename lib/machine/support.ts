import { release } from 'node:os'
import type { Backend, Cipher, Support, SupportReason } from '../../types/index'
import { loadBinding } from '../binding'
import type { Binding } from '../binding'
import { detectContainer } from './container'
import { explainNoCipher, explainProbeFailure } from './probe-failure'
import { detectModule } from './tls-module'

/** In the order of the native probe (native/openssl/keys.h). */
const CIPHERS: readonly Cipher[] = ['aes-128-gcm', 'aes-256-gcm', 'chacha20-poly1305']

const NONE: readonly Backend[] = Object.freeze([])
/** What the addon can do by itself. */
const WITHOUT_KERNEL: readonly Backend[] = Object.freeze(['threads', 'plain'])
const ALL: readonly Backend[] = Object.freeze(['kernel', 'threads', 'plain'])

export interface Detected {
  readonly support: Support
  /** Present wherever the addon loads: sender threads need no more. */
  readonly binding?: Binding
}

let detected: Detected | undefined

/** What this kernel and runtime can do; probed once a process. */
export function detect (): Detected {
  detected ??= probe()
  return detected
}

export const SWITCHED_OFF: Detected = { support: unavailable('off', 'the plugin is registered with mode "off"') }

function probe (): Detected {
  const loaded = loadBinding()
  if (!('binding' in loaded)) return { support: unavailable(loaded.reason, loaded.detail) }
  const { binding } = loaded
  const result = binding.probe()
  if (result.error !== 0) {
    const kernel = release()
    const { reason, detail } = explainProbeFailure(result, { kernel, module: detectModule(kernel), container: detectContainer() })
    return { binding, support: unavailable(reason!, detail!, WITHOUT_KERNEL) }
  }
  const versions = { 'TLSv1.2': byCipher(result.tls12), 'TLSv1.3': byCipher(result.tls13) }
  const any = Object.values(versions).some(ciphers => Object.values(ciphers).includes(true))
  if (!any) {
    return { binding, support: unavailable('kernel-refused', explainNoCipher([...result.tls12, ...result.tls13]), WITHOUT_KERNEL) }
  }
  return {
    binding,
    support: Object.freeze({ backends: ALL, available: true, reason: null, detail: null, kernel: release(), versions, rekey: result.rekey })
  }
}

function unavailable (reason: SupportReason, detail: string, backends = NONE): Support {
  return Object.freeze({
    backends,
    available: false,
    reason,
    detail,
    kernel: release(),
    versions: { 'TLSv1.2': byCipher([]), 'TLSv1.3': byCipher([]) },
    rekey: false
  })
}

function byCipher (errors: readonly number[]): Record<Cipher, boolean> {
  const can = (cipher: Cipher) => errors[CIPHERS.indexOf(cipher)] === 0
  return {
    'aes-128-gcm': can('aes-128-gcm'),
    'aes-256-gcm': can('aes-256-gcm'),
    'chacha20-poly1305': can('chacha20-poly1305')
  }
}

/** Why the kernel has no TLS for this process, what helps, and who says more. */
export function explain ({ detail }: Support): string {
  return `${detail!} (npx fastify-ktls says more)`
}

/** What the kernel can seal, in one line. */
export function listSupport ({ versions, rekey }: Support): string {
  const lists = Object.entries(versions).map(([version, ciphers]) => {
    const names = Object.entries(ciphers).filter(([, can]) => can).map(([name]) => name)
    return `${version} with ${names.join(', ') || 'no cipher'}`
  })
  return `${lists.join('; ')}; ${rekey ? 'with' : 'without'} change of keys`
}

/** The name under which `support.versions` lists a suite, from its standard name. */
export function cipherOf (standardName: string): Cipher | undefined {
  if (standardName.includes('AES_128_GCM')) return 'aes-128-gcm'
  if (standardName.includes('AES_256_GCM')) return 'aes-256-gcm'
  if (standardName.includes('CHACHA20_POLY1305')) return 'chacha20-poly1305'
  return undefined
}
