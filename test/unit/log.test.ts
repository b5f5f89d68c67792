import type { FastifyBaseLogger } from 'fastify'
import t from 'tap'
import { Warnings, debugs } from '../../lib/observe/log'

t.test('whether lines of level debug are written', async t => {
  const debug = () => {}
  for (const [what, log, expected] of [
    ['a logger that cannot tell', { debug }, true],
    ['one of level info', { debug, isLevelEnabled: (level: string) => level === 'info' }, false],
    ['one of level debug', { debug, isLevelEnabled: (level: string) => level === 'debug' }, true]
  ] as const) t.equal(debugs(log as unknown as FastifyBaseLogger), expected, what)
})

t.test('each kind of trouble is said once', async t => {
  const said: unknown[] = []
  const warnings = new Warnings({ warn: (message: unknown) => { said.push(message) } })
  for (const message of ['one', 'other', 'one', 'one', 'other']) warnings.once(message)
  t.strictSame(said, ['one', 'other'])
})
