import t from 'tap'
import { parseOptions } from '../../lib/options'

const DEFAULTS = { mode: 'auto', backends: ['kernel', 'threads', 'plain'], minSize: 65536 }

t.test('defaults are filled in', async t => {
  t.strictSame(parseOptions({}), DEFAULTS)
  t.strictSame(parseOptions({ mode: undefined, backends: undefined, minSize: undefined }), DEFAULTS)
})

t.test('what is accepted', async t => {
  for (const options of [
    { mode: 'auto', backends: ['kernel', 'threads', 'plain'], minSize: 65536 },
    { mode: 'require', backends: ['kernel'], minSize: 0 },
    { mode: 'off', backends: ['threads'], minSize: 1 },
    { mode: 'auto', backends: ['threads'], minSize: Number.MAX_SAFE_INTEGER }
  ]) {
    const settings = parseOptions(options)
    t.strictSame(settings, options)
    t.ok(Object.isFrozen(settings))
  }
})

t.test("options of Fastify's register() pass", async t => {
  t.strictSame(parseOptions({ prefix: '/files', logLevel: 'error', logSerializers: {} }), DEFAULTS)
})

t.test('backends have no order and no number', async t => {
  const given = ['threads', 'kernel', 'threads']
  t.strictSame(parseOptions({ backends: given }).backends, ['kernel', 'threads'])
  t.strictSame(given, ['threads', 'kernel', 'threads'], 'the list given is left as it is')
  t.strictSame(parseOptions({ backends: Object.freeze(['threads', 'threads']) }).backends, ['threads'])
})

const MODES = 'accepted are "auto", "require", "off"'
const BACKENDS = 'accepted is a list of at least one of "kernel", "threads", "plain"'
const NAMES = 'accepted are "mode", "backends" and "minSize"'
const BYTES = 'accepted is a number of bytes, an integer of 0 or more'

for (const { options, message } of [
  { options: { mode: 'on' }, message: `option "mode" is "on"; ${MODES}` },
  { options: { mode: 'AUTO' }, message: `option "mode" is "AUTO"; ${MODES}` },
  { options: { mode: '' }, message: `option "mode" is ""; ${MODES}` },
  { options: { mode: true }, message: `option "mode" is true; ${MODES}` },
  { options: { mode: null }, message: `option "mode" is null; ${MODES}` },
  { options: { mode: ['auto'] }, message: `option "mode" is [ 'auto' ]; ${MODES}` },
  { options: { mode: { a: 1 } }, message: `option "mode" is { a: 1 }; ${MODES}` },
  { options: { backends: [] }, message: `option "backends" is []; ${BACKENDS}` },
  { options: { backends: ['sendfile'] }, message: `option "backends" is [ 'sendfile' ]; ${BACKENDS}` },
  { options: { backends: ['kernel', 'Threads'] }, message: `option "backends" is [ 'kernel', 'Threads' ]; ${BACKENDS}` },
  { options: { backends: [['kernel']] }, message: `option "backends" is [ [Array] ]; ${BACKENDS}` },
  { options: { backends: new Array(1) }, message: `option "backends" is [ <1 empty item> ]; ${BACKENDS}` },
  { options: { backends: 'kernel' }, message: `option "backends" is "kernel"; ${BACKENDS}` },
  { options: { backends: null }, message: `option "backends" is null; ${BACKENDS}` },
  { options: { backends: new Set(['kernel']) }, message: `option "backends" is Set(1) { 'kernel' }; ${BACKENDS}` },
  { options: { mode: 'require', backends: ['threads'] }, message: 'option "backends" is [ \'threads\' ]; accepted in mode "require" is a list with "kernel"' },
  { options: { minSize: -1 }, message: `option "minSize" is -1; ${BYTES}` },
  { options: { minSize: 1.5 }, message: `option "minSize" is 1.5; ${BYTES}` },
  { options: { minSize: NaN }, message: `option "minSize" is NaN; ${BYTES}` },
  { options: { minSize: Infinity }, message: `option "minSize" is Infinity; ${BYTES}` },
  { options: { minSize: 2 ** 53 }, message: `option "minSize" is 9007199254740992; ${BYTES}` },
  { options: { minSize: '16384' }, message: `option "minSize" is "16384"; ${BYTES}` },
  { options: { minSize: null }, message: `option "minSize" is null; ${BYTES}` },
  { options: { minSize: 1n }, message: `option "minSize" is 1n; ${BYTES}` },
  { options: { minsize: 1 }, message: `option "minsize" is not known; ${NAMES}` },
  { options: { Mode: 'auto' }, message: `option "Mode" is not known; ${NAMES}` },
  { options: { toString: 1 }, message: `option "toString" is not known; ${NAMES}` }
]) {
  t.test(message, async t => {
    t.throws(() => parseOptions(options), { name: 'FastifyError', code: 'FST_KTLS_INVALID_OPTION', message })
  })
}

t.test('values that cannot be made a string', async t => {
  for (const mode of [Object.create(null), Symbol('auto')]) {
    t.throws(() => parseOptions({ mode }), { code: 'FST_KTLS_INVALID_OPTION', message: /^option "mode" is / })
  }
})
