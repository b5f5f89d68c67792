import t from 'tap'
import { ROOT } from '../support/node'
import { Checkers } from './checkers'
import { sources } from './native'

t.test('the code in C++ is formatted', async t => {
  const checkers = await Checkers.get()
  await t.resolves(checkers.run('clang-format', ['--dry-run', '-Werror', ...sources('native', 'test')], ROOT))
})
