/* Preloaded: each request of this process is made three times, and the third answer is the one that is seen. */
import http from 'node:http'
import { createRequire } from 'node:module'
import { FileCounters } from '../../lib/observe/file-counters'

/** Milliseconds for each of the first two: some tests hold back an answer. */
const PATIENCE = 300

async function twice (ask: () => Promise<unknown>): Promise<void> {
  for (let time = 1; time <= 2; time++) {
    let timer
    await Promise.race([ask().catch(() => {}), new Promise(resolve => { timer = setTimeout(resolve, PATIENCE) })])
    clearTimeout(timer)
  }
}

const { fetch } = globalThis
globalThis.fetch = async (...call) => {
  await twice(async () => (await fetch(...call)).arrayBuffer())
  return await fetch(...call)
}

type Request = (to: http.RequestOptions, seen: (response: http.IncomingMessage) => void) => http.ClientRequest
const { request } = http
const requestThrice: Request = (to, seen) => {
  const last = request(to, seen)
  const end = last.end.bind(last)
  const ask = () => new Promise((resolve, reject) => {
    request(to, response => response.resume().on('close', resolve)).on('error', reject).end()
  })
  last.end = () => {
    twice(ask).then(() => end())
    return last
  }
  return last
}
Object.assign(http, { request: requestThrice })

// What `inject` of Fastify's calls.
type Inject = (handler: unknown, request: unknown, callback?: unknown) => Promise<unknown>
const path = createRequire(require.resolve('fastify')).resolve('light-my-request')
const inject = require(path) as Inject
const injectThrice: Inject = async (handler, request, callback) => {
  await twice(async () => await inject(handler, request))
  return await inject(handler, request, callback)
}
require.cache[path]!.exports = injectThrice

let hits = 0
const { hit } = FileCounters.prototype
FileCounters.prototype.hit = function () {
  hits++
  hit.call(this)
}
process.on('exit', () => console.log(`# hits ${hits}`))
