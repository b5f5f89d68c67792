import { fork } from 'node:child_process'
import type { ForkOptions } from 'node:child_process'
import { join } from 'node:path'
import { certificate } from '../certificate'
import { messageOf } from './message'
import type { ChildServer } from './child-server'

/** A server in a process of its own (child-server.ts). */
export async function startChild (t: Tap.Test, options: Pick<ChildServer, 'path'> & Partial<ChildServer>, environment: Readonly<Record<string, string>> = {}, program: ForkOptions = {}) {
  const argument: ChildServer = { plugin: true, ...options }
  const child = fork(join(__dirname, 'child-server.js'), [JSON.stringify(argument)], {
    env: { ...process.env, ...environment, KTLS_TEST_CERTIFICATE: JSON.stringify(await certificate()) },
    ...program
  })
  t.teardown(() => { child.kill() })
  const origin = await messageOf<string>(child)
  return { child, origin, port: Number(new URL(origin).port) }
}
