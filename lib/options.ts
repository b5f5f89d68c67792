import { inspect } from 'node:util'
import type { Backend, FastifyKtlsOptions, Mode } from '../types/index'
import { FST_KTLS_INVALID_OPTION } from './errors'

export type Settings = Readonly<Required<FastifyKtlsOptions>>

const MODES: readonly Mode[] = ['auto', 'require', 'off']

const BACKENDS: readonly Backend[] = ['kernel', 'threads', 'plain']

export const DEFAULTS: Settings = { mode: 'auto', backends: BACKENDS, minSize: 65536 }

const NAMES = 'accepted are "mode", "backends" and "minSize"'

/** The validated options with defaults filled in. Throws FST_KTLS_INVALID_OPTION. */
export function parseOptions (options: Readonly<Record<string, unknown>>): Settings {
  for (const name of Object.keys(options)) {
    // Fastify passes its own options of register() along.
    if (Object.hasOwn(DEFAULTS, name) || name === 'prefix' || name === 'logLevel' || name === 'logSerializers') continue
    throw invalid(`option "${name}" is not known; ${NAMES}`)
  }
  const { mode = DEFAULTS.mode, backends = DEFAULTS.backends, minSize = DEFAULTS.minSize } = options
  if (!isMode(mode)) {
    throw invalid(`option "mode" is ${show(mode)}; accepted are ${MODES.map(show).join(', ')}`)
  }
  if (!isBackends(backends)) {
    throw invalid(`option "backends" is ${show(backends)}; accepted is a list of at least one of ${BACKENDS.map(show).join(', ')}`)
  }
  if (mode === 'require' && !backends.includes('kernel')) {
    throw invalid(`option "backends" is ${show(backends)}; accepted in mode "require" is a list with "kernel"`)
  }
  if (typeof minSize !== 'number' || !Number.isSafeInteger(minSize) || minSize < 0) {
    throw invalid(`option "minSize" is ${show(minSize)}; accepted is a number of bytes, an integer of 0 or more`)
  }
  return Object.freeze({ mode, backends: BACKENDS.filter(backend => backends.includes(backend)), minSize })
}

function isMode (value: unknown): value is Mode {
  return (MODES as readonly unknown[]).includes(value)
}

function isBackends (value: unknown): value is Backend[] {
  // A hole of the list counts as undefined.
  return Array.isArray(value) && value.length > 0 && [...value].every(name => (BACKENDS as readonly unknown[]).includes(name))
}

function show (value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value) : inspect(value, { depth: 0, breakLength: Infinity })
}

function invalid (message: string): Error {
  return new FST_KTLS_INVALID_OPTION(message)
}
