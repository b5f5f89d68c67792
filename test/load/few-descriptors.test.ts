import { once } from 'node:events'
import http from 'node:http'
import https from 'node:https'
import t from 'tap'
import { SECURE } from '../support/backend'
import { makeFile, makeFolder } from '../support/files'
import { request } from '../support/request'
import { startChild } from '../support/child'
import type { Leave, Left } from '../support/child-server'

/** Descriptors that the server may have; it has some thirty of its own. */
const LIMIT = 100

const file = makeFile(makeFolder(t), 300_000)

// As by `ulimit -n`: it is the kernel that refuses.
t.test('a process with few descriptors left, or none', async t => {
  const { child, origin } = await startChild(t, { path: file.path }, {}, { execPath: 'prlimit', execArgv: [`--nofile=${LIMIT}`, process.execPath] })
  const leave = async (left: number, open = 0): Promise<Left> => {
    const answer = once(child, 'message') as Promise<[Left]>
    child.send({ left, open } satisfies Leave)
    return (await answer)[0]
  }
  /** 'whole', the status of another reply, or that the connection was cut. */
  const download = (agent: http.Agent | false = false) => request(`${origin}/file`, { agent })
    .then(({ status, sha256 }) => sha256 === file.sha256 ? 'whole' : status, () => 'cut')

  const table = [
    { lacks: 'the connection', outcome: 'cut' },
    { lacks: 'the file', outcome: 500, fallbacks: { data: 1 } },
    // Or the file's duplicate, where the page cache cannot be asked.
    { lacks: "the sender thread's first", outcome: 'whole', fallbacks: { 'no-resources': 1 } },
    { lacks: "the sender thread's second", outcome: 'whole', fallbacks: { 'no-resources': 2 } },
    { lacks: "the connection's duplicate", outcome: 'whole', fallbacks: { 'no-resources': 3 } },
    { lacks: 'nothing', outcome: 'whole', fallbacks: { 'no-resources': 3 }, promoted: 1 }
  ]
  for (const [left, { lacks, outcome, fallbacks = {}, promoted = 0 }] of table.entries()) {
    await leave(left)
    t.equal(await download(), outcome, `${left} left: ${lacks} is missing`)
    t.match((await leave(0)).stats, { fallbacks, connections: { promoted } })
  }

  const SOME = 10
  await leave(SOME)
  const agent = new (SECURE ? https : http).Agent({ keepAlive: true, maxSockets: 1 })
  t.equal(await download(agent), 'whole')
  await leave(0, 1)
  t.equal(await download(agent), 500, 'promoted, and none left: the file is missing')
  await leave(2, 1)
  t.equal(await download(agent), 'whole', 'promoted, and 2 left')
  t.match((await leave(SOME, 1)).stats, { replies: { file: 3 }, fallbacks: { 'no-resources': 3 }, connections: { promoted: 2 } })
  agent.destroy()
  // The agent's connection has become one more.
  await leave(SOME)
  t.equal((await leave(SOME)).free, SOME, 'no descriptor is lost')
})
