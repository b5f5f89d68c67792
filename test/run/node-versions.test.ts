import { join } from 'node:path'
import t from 'tap'
import { nodeBinary } from '../vm/node-versions'

const ADDON_TESTS = join(__dirname, 'kernel-double.test.js')
const KERNEL_TESTS = join(__dirname, './backend.js')

// The kernel's tests, with the double in the kernel's place: whether capture,
// counting and ordering hold on this version of Node. The addon is the same. On
// 20 and 24 they run in the guests.
for (const major of [20, 22, 24, 26] as const) {
  t.test(`Node ${major}`, async t => {
    const node = await nodeBinary(major)
    const env = { ...process.env, TAP: '1', TAP_TIMEOUT: '1800' }
    await t.spawn(node, [ADDON_TESTS], { env }, 'the addon')
    await t.spawn(node, [ADDON_TESTS], { env: { ...env, KTLS_TEST_BACKEND: 'threads' } }, 'the addon, by the threads')
    if (major === 22 || major === 26) await t.spawn(node, ['--expose-gc', KERNEL_TESTS, '--double'], { env }, 'the kernel tests')
  })
}

t.test('calls take less, and records are held back', async t => {
  const env = { ...process.env, TAP: '1', TAP_TIMEOUT: '1800', KTLS_DOUBLE_SEND_LIMIT: '120000' }
  await t.spawn(process.execPath, [KERNEL_TESTS, '--double', 'closing', 'endings', 'requests'], { env }, 'the kernel tests of closing')
})
