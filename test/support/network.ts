import { readFileSync } from 'node:fs'
import { run } from '../vm/run'

/**
 * Gives the loopback interface the packets of an Ethernet: its own, of 64 KiB and
 * joined up to more, are so few that a fault in a hundred hits none.
 */
export async function smallPackets (t: Tap.Test): Promise<void> {
  await run('ip', ['link', 'set', 'lo', 'mtu', '1500', 'gso_max_segs', '1'])
  t.teardown(() => run('ip', ['link', 'set', 'lo', 'mtu', '65536', 'gso_max_segs', '65535']))
}

/** Has the loopback interface do to packets what tc-netem(8) can, until the test ends. */
export async function spoilNetwork (t: Tap.Test, fault: string): Promise<void> {
  await netem('add', fault)
  t.teardown(() => run('tc', ['qdisc', 'del', 'dev', 'lo', 'root']))
}

/** Another fault in place of the one that spoilNetwork() began with. */
export function changeNetwork (fault: string): Promise<string> {
  return netem('change', fault)
}

function netem (verb: 'add' | 'change', fault: string): Promise<string> {
  return run('tc', ['qdisc', verb, 'dev', 'lo', 'root', 'netem', 'limit', '10000', ...fault.split(' ')])
}

/** What this system's IP and TCP have counted since boot: `Tcp.RetransSegs`, `TcpExt.TCPOFOQueue` and so on. */
export function networkCounter (name: string): number {
  const [group, counter] = name.split('.') as [string, string]
  for (const file of ['/proc/net/snmp', '/proc/net/netstat']) {
    const [names, values] = readFileSync(file, 'latin1').split('\n').filter(line => line.startsWith(`${group}: `)).map(line => line.split(' '))
    const index = names?.indexOf(counter) ?? -1
    if (index !== -1) return Number(values![index])
  }
  throw new Error(`the kernel does not count ${name}`)
}
