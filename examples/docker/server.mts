import { readFileSync } from 'node:fs'
import fastifyStatic from '@fastify/static'
import fastify from 'fastify'
import fastifyKtls from 'fastify-ktls'

const { KEY = '/run/secrets/key.pem', CERT = '/run/secrets/cert.pem', ROOT = '/srv/files', HOST = '0.0.0.0', PORT = '8443' } = process.env

const app = fastify({ logger: true, https: { key: readFileSync(KEY), cert: readFileSync(CERT) } })
app.register(fastifyKtls)
app.register(fastifyStatic, { root: ROOT })
// Process 1 of a container ignores signals that it has no handler for: Ctrl-C would do
// nothing, and `docker stop` would wait ten seconds and then kill.
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => app.close())
// In a container 127.0.0.1 is the container's own.
app.listen({ host: HOST, port: Number(PORT) })
