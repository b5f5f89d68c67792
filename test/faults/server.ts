import { join } from 'node:path'
import type { FallbackReason } from '../../types/index'
import { statsOf } from '../support/backend'
import type { BackendStats } from '../support/backend'
import { openCount, openSockets } from '../support/files'
import { openDescriptors } from '../support/kernel'
import { request } from '../support/request'
import type { ServerOptions, TestServer } from '../support/server'
import { serveFolder } from '../support/static'
import { until } from '../support/wait'
import { arm } from './injector'

export interface FaultServer extends TestServer {
  /** Until all connections are closed, with every descriptor of theirs. */
  idle (): Promise<void>
  /** What the server has to say of what happened meanwhile. */
  account (): () => Account
}

export interface Account {
  readonly fallbacks: FallbackReason[]
  /** 'log': the plugin's warning of a reply; 'clientError': the server's event, as for errors of Node's own writes. */
  readonly told: Array<'log' | 'clientError'>
}

/** A server that has sent `url`: the sender thread's own descriptors are there. */
export async function startFaultServer (t: Tap.Test, folder: string, url: string, setup: NonNullable<ServerOptions['setup']>): Promise<FaultServer> {
  const server = await serveFolder(t, folder, { ktls: {}, lies: true, setup })
  const { app, origin, warnings } = server
  let clientErrors = 0
  app.server.on('clientError', () => { clientErrors++ })
  const replyWarnings = () => warnings.filter(entry => !isRefusal(entry)).length
  const sockets = openSockets()
  arm()
  await request(origin + url)
  // libuv's pool closes the file, and a sender its duplicate of the socket, in their own time.
  const closed = () => statsOf(app).connections.open === 0 && !process.getActiveResourcesInfo().includes('TCPSocketWrap') &&
    openCount(join(folder, url)) === 0 && openSockets() === sockets
  await until(closed)
  const descriptors = openDescriptors().length
  return {
    ...server,
    idle: () => until(() => closed() && openDescriptors().length === descriptors),
    account: () => {
      const [stats, logged, errors] = [statsOf(app), replyWarnings(), clientErrors]
      return () => ({
        fallbacks: grown(stats, statsOf(app)),
        told: [...(replyWarnings() > logged ? ['log'] as const : []), ...(clientErrors > errors ? ['clientError'] as const : [])]
      })
    }
  }
}

/** The warning that a connection was refused comes once for each cause. */
export function isRefusal ({ msg }: Record<string, unknown>): boolean {
  return String(msg).includes('stays with Node')
}

/** The reasons, other than that a reply has no file, that have been counted. */
function grown (before: BackendStats, after: BackendStats): FallbackReason[] {
  const reasons = Object.keys(after.fallbacks) as FallbackReason[]
  return reasons.filter(reason => reason !== 'data' && after.fallbacks[reason] !== before.fallbacks[reason])
}
