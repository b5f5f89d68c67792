import { execFile } from 'node:child_process'
import { readFileSync, readdirSync } from 'node:fs'
import { performance } from 'node:perf_hooks'
import { promisify } from 'node:util'

const run = promisify(execFile)

const ROUNDS = 5

/** Turns of the event loop that another process's start, output and end may take. */
const MAX_TURNS = 100

/** Passes once neither the sender thread nor the event loop does anything of its own accord. */
export async function atRest (t: Tap.Test): Promise<void> {
  let sender = 0
  let turns = 0
  // In the first rounds the buffers of a connection may still be filling.
  for (let round = 0; round < ROUNDS; round++) {
    const before = { sender: senderActivity(), turns: loopTurns() }
    // Work of another process for longer than the sender's longest wait (kLastCheck in native/sender.cc) on any processor.
    await run('sh', ['-c', 'timeout 0.5 md5sum /dev/zero; true'])
    sender = senderActivity() - before.sender
    turns = loopTurns() - before.turns
    if (sender === 0 && turns < MAX_TURNS) break
  }
  t.equal(sender, 0, 'the sender thread sleeps')
  t.ok(turns < MAX_TURNS, `${turns} turns of the event loop`)
}

/** How often the sender thread left the processor, and how many clock ticks it had it: one that spins never leaves. */
function senderActivity (): number {
  const folder = readdirSync('/proc/self/task').map(id => `/proc/self/task/${id}`)
    .find(folder => readFileSync(`${folder}/comm`, 'latin1') === 'ktls-sender\n')!
  const switches = readFileSync(`${folder}/status`, 'latin1').matchAll(/ctxt_switches:\t(\d+)/g)
  // man 5 proc_pid_stat: utime and stime are the 12th and 13th after the name.
  const ticks = readFileSync(`${folder}/stat`, 'latin1').split(') ')[1]!.split(' ').slice(11, 13)
  return [...Array.from(switches, ([, count]) => count), ...ticks].reduce((sum, count) => sum + Number(count), 0)
}

function loopTurns (): number {
  return performance.nodeTiming.uvMetricsInfo.loopCount
}
