import { inspect } from 'node:util'
import type { FastifyKtlsOptions, Mode } from '../types/index'
import { FST_KTLS_INVALID_OPTION } from './errors'

export type Settings = Readonly<Required<FastifyKtlsOptions>>

const MODES: readonly Mode[] = ['auto', 'require', 'off']

export const DEFAULTS: Settings = { mode: 'auto', minSize: 65536 }

/** The validated options with defaults filled in. Throws FST_KTLS_INVALID_OPTION. */
export function parseOptions (options: Readonly<Record<string, unknown>>): Settings {
  for (const name of Object.keys(options)) {
    // Fastify passes its own options of register() along.
    if (Object.hasOwn(DEFAULTS, name) || name === 'prefix' || name === 'logLevel' || name === 'logSerializers') continue
    throw invalid(`option "${name}" is not known; accepted are "mode" and "minSize"`)
  }
  const { mode = DEFAULTS.mode, minSize = DEFAULTS.minSize } = options
  if (!isMode(mode)) {
    throw invalid(`option "mode" is ${show(mode)}; accepted are ${MODES.map(show).join(', ')}`)
  }
  if (typeof minSize !== 'number' || !Number.isSafeInteger(minSize) || minSize < 0) {
    throw invalid(`option "minSize" is ${show(minSize)}; accepted is a number of bytes, an integer of 0 or more`)
  }
  return Object.freeze({ mode, minSize })
}

function isMode (value: unknown): value is Mode {
  return (MODES as readonly unknown[]).includes(value)
}

function show (value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value) : inspect(value, { depth: 0, breakLength: Infinity })
}

function invalid (message: string): Error {
  return new FST_KTLS_INVALID_OPTION(message)
}
