import { readFileSync } from 'node:fs'
import fastifyStatic from '@fastify/static'
import fastify from 'fastify'
import fastifyKtls from 'fastify-ktls'

const { KEY = '/run/secrets/key.pem', CERT = '/run/secrets/cert.pem', ROOT = '/srv/files', HOST = '0.0.0.0', PORT = '8443' } = process.env

const app = fastify({ logger: true, https: { key: readFileSync(KEY), cert: readFileSync(CERT) } })
app.register(fastifyKtls)
app.register(fastifyStatic, { root: ROOT })
// Else `docker stop` waits ten seconds and then kills.
process.once('SIGTERM', () => app.close())
// In a container 127.0.0.1 is the container's own.
app.listen({ host: HOST, port: Number(PORT) })
