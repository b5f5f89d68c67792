import t from 'tap'
import { parseOptions } from '../../examples/start/options'
import { formatReply } from '../../examples/start/reports'
import type { ReplyReport } from '../../examples/start/reports'

t.test('the arguments of npm start', async t => {
  const accepted: Array<[string[], Record<string, string>, Partial<ReturnType<typeof parseOptions>>]> = [
    [[], {}, { guest: false, port: 8443, help: false }],
    [[], { PORT: '9000' }, { port: 9000 }],
    [[], { PORT: '' }, { port: 8443 }],
    [['--port', '9001'], { PORT: '9000' }, { port: 9001 }],
    [['--port=0', '--guest'], {}, { port: 0, guest: true }],
    [['-h'], {}, { help: true }]
  ]
  for (const [args, environment, expected] of accepted) t.match(parseOptions(args, environment), expected, args.join(' '))

  const refused: Array<[string[], Record<string, string>, RegExp]> = [
    [['--port', '65536'], {}, /^--port is "65536"; accepted is a number from 0 to 65535$/],
    [['--port', '80x'], {}, /^--port is "80x"/],
    [[], { PORT: 'https' }, /^PORT is "https"/],
    [['somewhere'], {}, /^"somewhere" is one argument too many$/],
    [['--port'], {}, /^--port needs a value$/],
    [['--hear'], {}, /^the option --hear is not known$/],
    [['--guest=yes'], {}, /^--guest takes no value, and has "yes"$/]
  ]
  for (const [args, environment, message] of refused) t.throws(() => parseOptions(args, environment), { message }, args.join(' '))
})

t.test('the line about a request', async t => {
  const report: ReplyReport = {
    method: 'GET', url: '/files/a', status: 200, complete: true, bytes: 1234567, path: 'file', backend: 'threads', reason: null, version: 'TLSv1.3', cipher: null, milliseconds: 1234
  }
  const lines: Array<[Partial<ReplyReport>, RegExp]> = [
    [{}, /^GET \/files\/a +200 +1,234,567 bytes +file by threads +1,234 ms$/],
    [{ path: 'write', reason: 'too-small' }, / write by threads \(too-small\) /],
    [{ path: 'node', backend: null, reason: 'too-small' }, / node \(too-small\) /],
    [{ path: null, backend: null, reason: 'pending', complete: false }, / 200 +cut off +undecided /]
  ]
  for (const [changes, line] of lines) t.match(formatReply({ ...report, ...changes }), line)
})
