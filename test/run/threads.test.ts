/*
 * The kernel's tests once more, with the sender threads as the backend: they need no kernel
 * TLS. And those of double/ that ask what any backend has to do: not what only a kernel holds back.
 */
import { join } from 'node:path'
import t from 'tap'

const env = { ...process.env, TAP: '1', TAP_TIMEOUT: '1800', KTLS_TEST_BACKEND: 'threads' }

const ADDON_TESTS = [
  'application', 'descriptors', 'evaluations', 'faults', 'few-descriptors', 'guards',
  'kernel-double', 'process-end', 'protocols', 'refusing-socket', 'surface'
]

t.test("the kernel's tests", async t => {
  await t.spawn(process.execPath, ['--expose-gc', join(__dirname, './backend.js'), '--threads'], { env }, 'by the threads')
})

for (const name of ADDON_TESTS) {
  t.test(name, async t => {
    await t.spawn(process.execPath, [join(__dirname, `../double/${name}.test.js`)], { env }, 'by the threads')
  })
}
