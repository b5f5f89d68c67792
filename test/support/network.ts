import { readFileSync, writeFileSync } from 'node:fs'
import { run } from '../vm/run'

/** Has the loopback interface, until the test ends, make packets of `mtu` bytes, and join `segments` of them at most. */
export async function setPackets (t: Tap.Test, mtu: number, segments = 65_535): Promise<void> {
  const [before] = JSON.parse(await run('ip', ['-json', '-details', 'link', 'show', 'lo']))
  const set = (mtu: number, segments: number) => run('ip', ['link', 'set', 'lo', 'mtu', String(mtu), 'gso_max_segs', String(segments)])
  await set(mtu, segments)
  t.teardown(() => set(before.mtu, before.gso_max_segs))
}

/**
 * Gives the loopback interface the packets of an Ethernet: its own, of 64 KiB and
 * joined up to more, are so few that a fault in a hundred hits none.
 */
export function smallPackets (t: Tap.Test): Promise<void> {
  return setPackets(t, 1500, 1)
}

/** Sets one of the system's parameters for TCP (man 7 tcp) until the test ends. */
export function tuneTcp (t: Tap.Test, name: string, value: string): void {
  const file = `/proc/sys/net/ipv4/${name}`
  const before = readFileSync(file)
  writeFileSync(file, value)
  t.teardown(() => writeFileSync(file, before))
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
