import t from 'tap'
import { parseOptions } from '../../lib/options'

t.test('defaults are filled in', async t => {
  t.strictSame(parseOptions({}), { mode: 'auto', minSize: 65536 })
  t.strictSame(parseOptions({ mode: undefined, minSize: undefined }), { mode: 'auto', minSize: 65536 })
})

t.test('what is accepted', async t => {
  for (const options of [
    { mode: 'auto', minSize: 65536 },
    { mode: 'require', minSize: 0 },
    { mode: 'off', minSize: 1 },
    { mode: 'auto', minSize: Number.MAX_SAFE_INTEGER }
  ]) {
    const settings = parseOptions(options)
    t.strictSame(settings, options)
    t.ok(Object.isFrozen(settings))
  }
})

t.test("options of Fastify's register() pass", async t => {
  t.strictSame(parseOptions({ prefix: '/files', logLevel: 'error', logSerializers: {} }), { mode: 'auto', minSize: 65536 })
})

const MODES = 'accepted are "auto", "require", "off"'
const BYTES = 'accepted is a number of bytes, an integer of 0 or more'

for (const { options, message } of [
  { options: { mode: 'on' }, message: `option "mode" is "on"; ${MODES}` },
  { options: { mode: 'AUTO' }, message: `option "mode" is "AUTO"; ${MODES}` },
  { options: { mode: '' }, message: `option "mode" is ""; ${MODES}` },
  { options: { mode: true }, message: `option "mode" is true; ${MODES}` },
  { options: { mode: null }, message: `option "mode" is null; ${MODES}` },
  { options: { mode: ['auto'] }, message: `option "mode" is [ 'auto' ]; ${MODES}` },
  { options: { mode: { a: 1 } }, message: `option "mode" is { a: 1 }; ${MODES}` },
  { options: { minSize: -1 }, message: `option "minSize" is -1; ${BYTES}` },
  { options: { minSize: 1.5 }, message: `option "minSize" is 1.5; ${BYTES}` },
  { options: { minSize: NaN }, message: `option "minSize" is NaN; ${BYTES}` },
  { options: { minSize: Infinity }, message: `option "minSize" is Infinity; ${BYTES}` },
  { options: { minSize: 2 ** 53 }, message: `option "minSize" is 9007199254740992; ${BYTES}` },
  { options: { minSize: '16384' }, message: `option "minSize" is "16384"; ${BYTES}` },
  { options: { minSize: null }, message: `option "minSize" is null; ${BYTES}` },
  { options: { minSize: 1n }, message: `option "minSize" is 1n; ${BYTES}` },
  { options: { minsize: 1 }, message: 'option "minsize" is not known; accepted are "mode" and "minSize"' },
  { options: { Mode: 'auto' }, message: 'option "Mode" is not known; accepted are "mode" and "minSize"' },
  { options: { toString: 1 }, message: 'option "toString" is not known; accepted are "mode" and "minSize"' }
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
