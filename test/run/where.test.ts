import t from 'tap'
import { ALL_KINDS, everyFile, namesOf, pathOf, select } from './files'
import { leftOut, placeOf } from './where'

t.test("every suffix of a file's name says where it runs", async t => {
  const paths = everyFile()
  const tests = ALL_KINDS.flatMap(namesOf)
  t.strictSame(tests.filter((name, index) => tests.indexOf(name) !== index), [], 'a name stands for one file')
  t.equal(paths.filter(path => path.replace(/\.js$/, '').includes('.')).length, tests.length, 'none has another suffix')
})

t.test('what is left out of a place', async t => {
  const tests = namesOf('backend')
  for (const place of ['guest', 'double', 'threads'] as const) {
    const rest = select(tests, [], leftOut(place))
    t.ok(rest.length > 0 && rest.length < tests.length, place)
  }
  t.throws(() => placeOf('linux-6'), { message: 'no place linux-6' })
})

t.test('tests by name and by folder', async t => {
  const names = ['closing/endings', 'closing/resets', 'closing/slow.full', 'reply/heads']
  for (const [given, left, selected] of [
    [[], [], ['closing/endings', 'closing/resets', 'reply/heads']],
    [[], ['closing/resets'], ['closing/endings', 'reply/heads']],
    [['closing'], ['closing/resets'], ['closing/endings']],
    [['closing/resets'], ['closing/resets'], ['closing/resets']],
    [['closing/slow.full', 'reply'], [], ['closing/slow.full', 'reply/heads']]
  ] as const) {
    t.strictSame(select(names, given, left), selected, given.join(' '))
  }
  t.throws(() => select(names, ['closing/end', 'reply']), { message: 'no test closing/end' })
  t.throws(() => pathOf('test', 'closing/endings'), { message: 'no test closing/endings' })
})
