import { join } from 'node:path'
import t from 'tap'
import { nodeBinary } from '../vm/node-versions'
import { BY_THREADS, ENVIRONMENT } from './environment'
import { pathOf } from './files'
import { ONCE_MORE } from './where'

const BACKEND_TESTS = join(__dirname, 'backend.js')

// The tests of a backend, with the double in the kernel's place: whether capture,
// counting and ordering hold on this version of Node. The addon is the same. The guests
// have 20 and 24, and 22 in the full tier.
for (const major of [20, 22, 24, 26] as const) {
  t.test(`Node ${major}`, async t => {
    const node = await nodeBinary(major)
    for (const name of ONCE_MORE.versions) {
      await t.spawn(node, [pathOf('test', name)], { env: ENVIRONMENT }, name)
      await t.spawn(node, [pathOf('test', name)], { env: BY_THREADS }, `${name}, by the threads`)
    }
    if (major === 26) await t.spawn(node, ['--expose-gc', BACKEND_TESTS, '--double'], { env: ENVIRONMENT }, 'the kernel tests')
  })
}

t.test('calls take less, and records are held back', async t => {
  const env = { ...ENVIRONMENT, KTLS_DOUBLE_SEND_LIMIT: '120000' }
  await t.spawn(process.execPath, [BACKEND_TESTS, '--double', ...ONCE_MORE.heldBack.backend], { env }, 'the kernel tests of closing')
  for (const name of ONCE_MORE.heldBack.test) await t.spawn(process.execPath, [pathOf('test', name)], { env }, name)
})
