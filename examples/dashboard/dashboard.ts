import type { Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { FastifyInstance } from 'fastify'
import { sourceFolder } from '../sources'
import { Control } from './control'
import type { Settings } from './control'

export interface DashboardOptions {
  /** The folder that is served below `/files/`. */
  readonly files: string
  /** Of these, what the load downloads. */
  readonly large: string
  /** Whether the processors are emulated, so that times say nothing of the machine's speed. */
  readonly emulated: boolean
}

/** A page that shows connections and event loop, and compares the plugin's way with the default one. */
export function dashboard (app: FastifyInstance<Server>, { files, large, emulated }: DashboardOptions): void {
  const control = new Control(
    app,
    () => `https://127.0.0.1:${(app.server.address() as AddressInfo).port}`,
    mode => `/${mode === 'offload' ? 'files' : 'default'}/${large}`
  )
  const { watch } = control
  app.addHook('onClose', async () => control.end())

  // The same files, as they would go without the plugin.
  app.get<{ Params: { name: string } }>('/default/:name', { config: { ktls: false } }, (request, reply) => {
    return reply.sendFile(request.params.name, files)
  })

  app.get('/dashboard', (_request, reply) => reply.sendFile('page.html', sourceFolder('dashboard')))
  for (const name of ['chart.js', 'common.css', 'common.js']) {
    app.get(`/dashboard/${name}`, (_request, reply) => reply.sendFile(name, sourceFolder('dashboard')))
  }

  app.get<{ Querystring: { after: number } }>('/dashboard/state', {
    schema: { querystring: { type: 'object', properties: { after: { type: 'integer', default: -1 } } } }
  }, async request => {
    control.watched()
    return {
      ...control.state,
      taken: watch.taken,
      samples: watch.samples(request.query.after),
      connections: watch.connections(request.raw.socket as TLSSocket),
      stats: app.ktls.stats(),
      support: app.ktls.support,
      emulated
    }
  })

  app.patch<{ Body: Partial<Settings> }>('/dashboard/settings', {
    schema: {
      body: {
        type: 'object',
        properties: { choice: { enum: control.choices }, load: { type: 'boolean' } },
        additionalProperties: false
      }
    }
  }, async ({ body }) => {
    control.change(body)
    return control.state
  })
}
