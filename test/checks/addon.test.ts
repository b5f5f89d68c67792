import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import t from 'tap'

// A worker's end would unload it, and OpenSSL calls into it for each SSL of the
// process. What g++ builds happens to stay (STB_GNU_UNIQUE); not so what others build.
t.test('the addon stays loaded until the process ends', async t => {
  const sections = execFileSync('readelf', ['--dynamic', join(__dirname, '../../../native/build/Release/fastify_ktls.node')], { encoding: 'latin1' })
  t.match(sections, /\(FLAGS_1\)\s+Flags: .*NODELETE/)
})
