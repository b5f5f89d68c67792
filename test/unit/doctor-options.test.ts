import t from 'tap'
import { WrongArguments, parseArguments } from '../../lib/doctor/arguments'
import { SMALLEST } from '../../lib/doctor/bench/file'
import { USAGE, parseOptions } from '../../lib/doctor/options'
import { runDoctor } from '../support/doctor'

t.test('what is accepted', async t => {
  for (const [args, expected] of [
    [[], { command: 'check', json: false }],
    [['--json'], { command: 'check', json: true }],
    [['--help'], { command: 'help' }],
    [['bench', '-h'], { command: 'help' }],
    [['--version'], { command: 'version' }],
    [['-v'], { command: 'version' }],
    [['bench'], { command: 'bench', file: undefined, seconds: 10, json: false }],
    [['bench', 'movie.mp4'], { command: 'bench', file: 'movie.mp4', seconds: 10, json: false }],
    [['bench', '--seconds', '2.5', '--json', 'movie.mp4'], { command: 'bench', file: 'movie.mp4', seconds: 2.5, json: true }],
    [['bench', '--', '--help'], { command: 'bench', file: '--help', seconds: 10, json: false }]
  ] as const) t.strictSame(parseOptions(args), expected, args.join(' '))
})

t.test('what is not, in one line', async t => {
  for (const [args, message] of [
    [['benhc'], 'the command is "benhc"; accepted is "bench", or none'],
    [['--seconds', '3'], '--seconds is for the command "bench"'],
    [['bench', 'one', 'other'], 'one file is accepted, not also "other"'],
    [['bench', '--seconds', '1'], '--seconds is "1"; accepted is a number from 2 to 3600'],
    [['bench', '--seconds', 'ten'], '--seconds is "ten"; accepted is a number from 2 to 3600'],
    [['bench', '--seconds', '3601'], '--seconds is "3601"; accepted is a number from 2 to 3600'],
    [['bench', '--seconds', '--json'], '--seconds is "--json"; accepted is a number from 2 to 3600'],
    [['bench', '--seconds'], '--seconds needs a value'],
    [['bench', '--seconds='], '--seconds needs a value'],
    [['--json=yes'], '--json takes no value, and has "yes"'],
    [['--second', '3'], 'the option --second is not known'],
    [['-hx'], 'the option -x is not known'],
    [['--__proto__'], 'the option --__proto__ is not known']
  ] as const) {
    const error = t.throws(() => parseOptions(args), { message }, args.join(' '))
    t.ok(error instanceof WrongArguments)
  }
})

t.test('the last one counts where an option comes twice', async t => {
  const { values } = parseArguments(['--one', '1', '--one=2'], { one: { type: 'string' }, other: { type: 'boolean' } })
  t.strictSame(values, { one: '2', other: false })
})

t.test('as a program', async t => {
  const { version } = require('fastify-ktls/package.json') as { version: string }
  t.match(await runDoctor(['--version']), { code: 0, stdout: `${version}\n`, stderr: '' })
  t.match(await runDoctor(['bench', '--help']), { code: 0, stdout: USAGE, stderr: '' })
  t.match(await runDoctor(['--bogus']), { code: 2, stdout: '', stderr: 'the option --bogus is not known (npx fastify-ktls --help says what is accepted)\n' })
  for (const text of ['--json', '--seconds N', '--version', '--help', 'at most 2 seconds later', `of ${SMALLEST / 1e6} MB or more`]) t.ok(USAGE.includes(text), text)
  t.notOk(USAGE.split('\n').some(line => line.length > 90))
})
