import t from 'tap'
import { ROOT, nodeJson } from '../support/node'

const PRINT = 'console.log(JSON.stringify([typeof ktls, ktls === fastifyKtls, ktls === whole]))'

t.test('the package loads by its own name', async t => {
  for (const [how, flags, code] of [
    ['with require', [], "const whole = require('fastify-ktls'); const { default: ktls, fastifyKtls } = whole"],
    ['with import', ['--input-type=module'], "import ktls, { fastifyKtls } from 'fastify-ktls'; const { 'module.exports': whole = ktls } = await import('fastify-ktls')"]
  ] as const) {
    t.strictSame(await nodeJson([...flags, '-e', `${code}; ${PRINT}`], { cwd: ROOT }), ['function', true, true], how)
  }
})

t.test('Fastify takes what either way gives', async t => {
  const code = "import Fastify from 'fastify'; import ktls from 'fastify-ktls'; const app = Fastify(); await app.register(ktls); console.log(JSON.stringify(app.hasPlugin('fastify-ktls')))"
  t.equal(await nodeJson(['--input-type=module', '-e', code], { cwd: ROOT }), true)
})
