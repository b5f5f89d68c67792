import t from 'tap'
import { nodeBinary } from '../vm/node-versions'
import { BACKEND_TESTS, MACHINE_TESTS, runSuite } from './guest'

// What the *.guest.test.ts beside it leave out: every pair of kernel and Node, whole bodies
// of over 4 GiB, and thousands of connections at a time.
for (const kernel of ['6.1', '6.12', 'newest'] as const) {
  t.test(`Linux ${kernel}`, async t => {
    for (const major of [20, 22, 24, 26] as const) {
      for (const part of ['1/2', '2/2'] as const) {
        await runSuite(t, `every kernel test, part ${part}, on Node ${major}`, { kernel, node: await nodeBinary(major), script: [BACKEND_TESTS, '--part', part] })
      }
      const calls = major === 20 ? ['--calls'] : []
      await runSuite(t, `a bad network and a bad disk, on Node ${major}`, { kernel, node: await nodeBinary(major), script: [MACHINE_TESTS, ...calls] })
    }
    await runSuite(t, 'bodies of over 4 GiB', { kernel, node: await nodeBinary(20), script: [BACKEND_TESTS, 'reply/huge.full'] })
    // TCP may use an eighth of the memory or so (man 7 tcp, tcp_mem), and has 250 MiB of buffers here.
    await runSuite(t, '1,000 slow clients', { kernel, node: await nodeBinary(20), script: [BACKEND_TESTS, 'load/slow-clients.full'], memory: 4096 })
    await runSuite(t, '9,000 idle clients', { kernel, node: await nodeBinary(20), script: [BACKEND_TESTS, 'load/idle.full'], memory: 6144 })
  })
}
