import { getSystemErrorName } from 'node:util'
import type { Support } from '../../types/index'
import type { Failure } from '../binding'
import { isSince } from './kernel-version'
import { explainMissingModule } from './tls-module'
import type { ModuleState } from './tls-module'

const [ENOENT, ETIMEDOUT] = [-2, -110]
/** Of a key that has been taken and cannot be read back (native/kernel/probe.cc). Positive, as the probe's errors of ciphers are. */
const EOPNOTSUPP = 95

/** What an explanation needs beside the failure. */
export interface Surroundings {
  /** The kernel's release. */
  readonly kernel: string
  readonly module: ModuleState
  /** The kind of container that this process is in. */
  readonly container: string | null
}

/** Why the probe of the kernel failed; the detail ends with what helps, after a semicolon. */
export function explainProbeFailure ({ call, error }: Failure, { kernel, module, container }: Surroundings): Pick<Support, 'reason' | 'detail'> {
  // Before 4.13 there is no such option.
  if (call === 'setsockopt TCP_ULP' && (error === ENOENT || !isSince(kernel, 4, 13))) {
    // What is loaded by now was not when the probe asked.
    const { cause, remedy } = explainMissingModule({ module: module === 'loaded' ? 'unknown' : module, container, kernel })
    return { reason: 'kernel-module-missing', detail: `${cause}; ${remedy}` }
  }
  const failed = `the probe's ${call} failed with ${getSystemErrorName(error)}`
  if (call === 'connect') {
    const why = error === ETIMEDOUT ? ': within a second nobody answered on 127.0.0.1, as where a firewall drops packets of the loopback interface' : ''
    return { reason: 'kernel-refused', detail: `${failed}${why}; have the firewall accept what comes and goes by the interface lo` }
  }
  const remedy = container === null
    ? 'see whether a security policy (seccomp, SELinux, AppArmor) forbids it, or try a newer kernel'
    : 'see whether the container\'s seccomp profile or its runtime (gVisor has no kernel TLS) forbids it, or try a newer kernel'
  return { reason: 'kernel-refused', detail: `${failed}; ${remedy}` }
}

/** Why the kernel has none of the ciphers, by the probe's error of each. */
export function explainNoCipher (errors: readonly number[]): string {
  return errors.every(error => error === EOPNOTSUPP)
    ? 'the kernel takes keys for TLS but has none when asked, as gVisor, which has no kernel TLS; run the app on a Linux kernel'
    : 'the kernel has the module tls but takes none of its ciphers; see whether its crypto modules (gcm, aes) are there'
}
