/*
 * The library evaluated more than once in one process: by a test runner, a cleared
 * require.cache, or two copies of the package. Jest and Vitest themselves:
 * package/runners.
 */
import '../double/install'
import { createReadStream } from 'node:fs'
import { join, sep } from 'node:path'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import type fastifyKtls from '../../types/index'
import { ONLY, statsOf } from '../support/backend'
import { makeFile, makeFolder } from '../support/files'
import { ROOT } from '../support/node'
import { copyPackage } from '../support/package-copy'
import { ktls } from '../support/plugin'
import { request } from '../support/request'
import { transport } from '../support/server'

type Plugin = typeof fastifyKtls

const folder = makeFolder(t)
const file = makeFile(folder, 300_000)
const LIB = join(ROOT, 'dist/lib')

/** This process's library once more, over the same addon. */
function evaluateAgain (): Plugin {
  for (const path of Object.keys(require.cache)) if (path.startsWith(LIB + sep)) delete require.cache[path]
  return require(LIB)
}

/** A copy of the package, with an addon of its own. */
function copyOfPackage (): Plugin {
  const copy = join(folder, 'copy')
  copyPackage(copy, join(ROOT, 'native/build/Release/fastify_ktls_double.node'))
  return require(join(copy, 'dist/lib'))
}

async function start (t: Tap.Test, plugin: Plugin): Promise<{ app: FastifyInstance, origin: string }> {
  const app = Fastify(await transport() as object)
  await app.register(plugin, ONLY)
  app.get('/', (_request, reply) => reply.send(createReadStream(file.path)))
  t.teardown(() => app.close())
  return { app, origin: await app.listen({ port: 0, host: '127.0.0.1' }) }
}

for (const [name, another] of [['evaluated twice over one addon', evaluateAgain], ['two copies of the package', copyOfPackage]] as const) {
  t.test(name, async t => {
    const first = await start(t, ktls)
    const second = await start(t, another())
    // Each in turn, and at once: what one does not own is not the other's to lose.
    for (let round = 1; round <= 3; round++) {
      for (const { origin } of [first, second]) t.equal((await request(origin)).sha256, file.sha256)
      const replies = await Promise.all([first, second, first, second].map(({ origin }) => request(origin)))
      t.ok(replies.every(({ sha256 }) => sha256 === file.sha256))
      for (const { app } of [first, second]) t.match(statsOf(app), { connections: { promoted: 3 * round }, replies: { file: 3 * round } })
    }
    await first.app.close()
    t.equal((await request(second.origin)).sha256, file.sha256)
    t.match(statsOf(second.app).replies, { file: 10 })
    await second.app.close()
  })
}

t.test('many evaluations leave no listener of the process behind', async t => {
  const listeners = process.listenerCount('exit')
  for (let i = 0; i < 20; i++) {
    const { app, origin } = await start(t, evaluateAgain())
    t.equal((await request(origin)).sha256, file.sha256)
    await app.close()
  }
  t.equal(process.listenerCount('exit'), listeners)
})
