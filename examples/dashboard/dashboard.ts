import type { Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { FastifyInstance } from 'fastify'
import { sourceFolder } from '../sources'
import { Load } from './load'
import { Watch } from './watch'
import type { Mode, Settings } from './watch'

export interface DashboardOptions {
  /** The folder that is served below `/files/`. */
  readonly files: string
  /** Of these, what the load downloads. */
  readonly large: string
}

/** A page that shows connections and event loop, and switches between the plugin's way and the default one. */
export function dashboard (app: FastifyInstance<Server>, { files, large }: DashboardOptions): void {
  const watch = new Watch(app)
  const load = new Load(() => { watch.settings = { ...watch.settings, load: false } })
  const modes: readonly Mode[] = app.ktls.support.backends.length > 0 ? ['offload', 'default'] : ['default']
  app.addHook('onClose', async () => load.end())

  // The same files, as they would go without the plugin.
  app.get<{ Params: { name: string } }>('/default/:name', { config: { ktls: false } }, (request, reply) => {
    return reply.sendFile(request.params.name, files)
  })

  app.get('/dashboard', (_request, reply) => reply.sendFile('page.html', sourceFolder('dashboard')))

  app.get<{ Querystring: { after: number } }>('/dashboard/state', {
    schema: { querystring: { type: 'object', properties: { after: { type: 'integer', default: -1 } } } }
  }, async request => ({
    ...watch.settings,
    taken: watch.taken,
    samples: watch.samples(request.query.after),
    connections: watch.connections(request.raw.socket as TLSSocket),
    stats: app.ktls.stats(),
    support: app.ktls.support
  }))

  app.patch<{ Body: Partial<Settings> }>('/dashboard/settings', {
    schema: {
      body: {
        type: 'object',
        properties: { mode: { enum: modes }, load: { type: 'boolean' } },
        additionalProperties: false
      }
    }
  }, async ({ body }) => {
    watch.settings = { ...watch.settings, ...body }
    const { mode, load: running } = watch.settings
    const { port } = app.server.address() as AddressInfo
    const folder = mode === 'offload' ? 'files' : 'default'
    load.download(running ? `https://127.0.0.1:${port}/${folder}/${large}` : null)
    return watch.settings
  })
}
