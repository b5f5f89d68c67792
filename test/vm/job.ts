import { homedir } from 'node:os'
import type { GuestOptions } from './guest'

/**
 * What the guest's second program (init.ts) reads from the control port: a line that will end the job, the job as a
 * shell script, and that line.
 */
export function job (options: GuestOptions, modules: string, mark: string): string {
  const environment = {
    PATH: process.env.PATH ?? '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    HOME: homedir(),
    LANG: 'C.UTF-8',
    ...options.env
  }
  const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`)
  return [
    mark,
    `MARK=${quote(mark)}`,
    `MODULES=${quote(modules)}`,
    `WITHHOLD_TLS=${options.withholdTls === true ? 'yes' : ''}`,
    `NETWORK=${(options.forward ?? []).length > 0 ? 'yes' : ''}`,
    `SHARE=${options.share === undefined ? '' : 'yes'}`,
    'job () {',
    `cd ${quote(options.cwd ?? process.cwd())} &&`,
    // Not busybox's env, which would run its own sh, cat, ip … in place of the host's.
    `exec /usr/bin/env -i ${[...variables, ...options.command].map(quote).join(' ')}`,
    '}',
    mark,
    ''
  ].join('\n')
}

function quote (text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}
