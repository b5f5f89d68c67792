import t from 'tap'
import { hasFlag } from '../../lib/connection/internals'

t.test('a flag of Node', async t => {
  const cases: ReadonlyArray<readonly [given: boolean, nodeOptions: string | undefined, execArgv: readonly string[]]> = [
    [false, undefined, []],
    [false, '', ['--expose-gc', '--trace-tls-not']],
    [true, undefined, ['--trace-tls']],
    [true, undefined, ['--trace_tls']],
    [true, '--max-old-space-size=100  --trace-tls', []],
    [true, '--require "a b" --trace-tls', ['--expose-gc']],
    [false, '--trace-tls', ['--no-trace-tls']],
    [true, '--no-trace-tls', ['--trace-tls']],
    [false, undefined, ['--trace-tls', '--no-trace-tls']]
  ]
  for (const [given, nodeOptions, execArgv] of cases) t.equal(hasFlag('--trace-tls', nodeOptions, execArgv), given, `${nodeOptions} ${execArgv.join(' ')}`)
})
