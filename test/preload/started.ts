import { join } from 'node:path'
import type { Backend } from '../../types/index'
import { certificate } from '../certificate'
import { ROOT, nodeJson } from '../support/node'
import type { Application, Outcome } from './app'

/** As users write it. Node finds it from the working directory. */
export const PRELOAD = ['--require', 'fastify-ktls/register'] as const

/** What comes of an application that Node starts with these options. */
export async function start (application: Application, { flags = PRELOAD, cwd = ROOT, program = 'app.js' }: { flags?: readonly string[], cwd?: string, program?: string } = {}): Promise<Outcome> {
  const env = { ...process.env, KTLS_TEST_CERTIFICATE: JSON.stringify(await certificate()) }
  return nodeJson<Outcome>([...flags, join(__dirname, program), JSON.stringify(application)], { cwd, env })
}

/** The backend that a connection with TLS gets here by default. */
export function defaultBackend ({ support }: Outcome): Backend {
  return support!.available ? 'kernel' : 'threads'
}

/** The lines of the log that the preload has a part in. */
export function preloadLines ({ log }: Outcome): string[] {
  return log.map(({ msg }) => msg).filter(msg => msg.includes('fastify-ktls/register'))
}
