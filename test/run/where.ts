/*
 * What is left out where, and why; and what is run once more elsewhere. Each name is a
 * test's, `folder/name` (run/files), of whatever kind: an unknown one is an error.
 */
import type { Backend } from '../../types/index'
import { ALL_KINDS, namesOf } from './files'

/** Where some tests are not run. */
export type Place =
  /** The guests of `npm test`, on 6.12; those of `npm run test:full` leave nothing out. */
  | 'guest'
  /** The stand-in for the kernel (double/), and the sender threads, on the host. */
  | 'double' | 'threads'
  /** HTTP without TLS, on the host. */
  | 'plain'
  /** The threads on a machine that has kernel TLS too. */
  | 'threads-beside-kernel'
  /** `npm run test:host`, which is to take less than ten minutes. */
  | 'test:host'

interface Row {
  readonly places: readonly Place[]
  readonly why: string
  readonly tests: readonly string[]
}

const LEFT_OUT: readonly Row[] = [
  {
    places: ['guest'],
    why: 'it takes an emulated processor many minutes: the threads and the stand-in have it',
    tests: ['load/endurance.alone']
  },
  {
    places: ['double', 'threads'],
    why: "the kernel's own counters; that there are none: fallback/ordinary",
    tests: ['observe/counters']
  },
  {
    places: ['threads'],
    why: 'what the doctor says of a kernel that has TLS; of one that has not: fallback/doctor',
    tests: ['observe/doctor']
  },
  {
    places: ['threads'],
    why: 'what the kernel can do; that it cannot: fallback/ordinary',
    tests: ['observe/support']
  },
  {
    places: ['plain'],
    why: 'TLS: its versions, ciphers, certificates, clients, records, keys, and what encrypting costs',
    tests: [
      'connection/ciphers', 'connection/clients', 'connection/contexts', 'connection/renegotiation', 'connection/resumption',
      'keys/keys', 'keys/secrets', 'load/kept-data.alone', 'load/senders.alone', 'records/alerts', 'records/nonces', 'records/record-sizes'
    ]
  },
  {
    places: ['plain'],
    why: 'what the kernel and the doctor say of kernel TLS',
    tests: ['observe/counters', 'observe/doctor', 'observe/support']
  },
  {
    places: ['plain'],
    why: 'the example serves over TLS',
    tests: ['examples/replies']
  },
  {
    places: ['threads-beside-kernel'],
    why: 'they leave the choice to the plugin, which takes the kernel here',
    tests: ['examples/replies']
  },
  {
    places: ['test:host'],
    why: 'each compiles the addon anew and runs it many times slower',
    tests: ['sanitizers/address', 'sanitizers/thread']
  },
  {
    places: ['test:host'],
    why: 'it measures, on all processors, for half a minute',
    tests: ['load/quota']
  },
  {
    places: ['test:host'],
    why: 'they run once more, by the threads and on other versions of Node, what has been run',
    tests: ['run/node-versions', 'run/other-backends']
  },
  {
    places: ['test:host'],
    why: 'what is published: they compile the addons for two processors, and run npm, bundlers and other test runners',
    tests: ['package/bundle', 'package/integrations', 'package/manifest', 'package/runners']
  },
  {
    places: ['test:host'],
    why: 'the programs of examples/, which are compiled and started each, and a browser',
    tests: ['examples/programs', 'examples/video', 'start/pages', 'start/here', 'start/layout', 'start/sent', 'start/trouble']
  }
]

/** Run by tap over the stand-in for the kernel, and once more as named here. */
export const ONCE_MORE = {
  /** By the threads: what any backend has to do, not what only a kernel holds back. */
  threads: [
    'closing/process-end', 'connection/evaluations', 'connection/protocols', 'connection/transmitter', 'faults/calls',
    'faults/refusing-socket', 'faults/short-take', 'load/descriptors', 'load/few-descriptors', 'reply/application', 'reply/guards',
    'reply/surface'
  ],
  /** Over plain HTTP: what the queue and the library have to do without TLS. */
  plain: [
    'closing/process-end', 'connection/evaluations', 'faults/calls', 'faults/refusing-socket', 'load/descriptors',
    'load/few-descriptors', 'reply/application'
  ],
  /** With the addon built under each sanitizer: the queue, closing, key changes, the process's end, and the library over them. */
  sanitizers: {
    kernel: ['connection/transmitter', 'keys/rekey', 'closing/abandoned', 'reply/guards', 'reply/application'],
    threads: ['connection/transmitter', 'closing/process-end', 'faults/calls', 'faults/short-take', 'reply/application'],
    plain: ['closing/process-end', 'reply/application']
  } satisfies Readonly<Record<Backend, readonly string[]>>,
  /** Besides under AddressSanitizer, which takes less time. */
  addressSanitizer: ['faults/calls'],
  /** On each version of Node, by the stand-in and by the threads: the addon without the library. */
  versions: ['connection/transmitter'],
  /** On a machine's own disks, where who waits for one is another; and its network, which TCP has to do with pages of the file over. */
  machine: { threads: ['faults/disk', 'faults/slow-disk'], plain: ['faults/disk', 'faults/slow-disk', 'faults/network'] },
  /** Before a real kernel, in a guest: each system call fails once. */
  guest: ['faults/calls'],
  /** Over a stand-in that takes less in a call and holds records back; the first are tests of a backend. */
  heldBack: { backend: ['closing/closing', 'closing/endings', 'reply/requests'], test: ['faults/calls'] }
} as const

const known = ALL_KINDS.flatMap(namesOf)
const { sanitizers, heldBack, machine, ...others } = ONCE_MORE
const unknown = [LEFT_OUT.map(({ tests }) => tests), Object.values(sanitizers), Object.values(heldBack), Object.values(machine), Object.values(others)].flat(2).filter(name => !known.includes(name))
if (unknown.length > 0) throw new Error(`run/where names tests that are not there: ${unknown.join(', ')}`)

/** The place of that name. */
export function placeOf (name: string): Place {
  const place = LEFT_OUT.flatMap(({ places }) => places).find(place => place === name)
  if (place === undefined) throw new Error(`no place ${name}`)
  return place
}

/** The names of what any of these places leaves out. */
export function leftOut (...places: readonly Place[]): string[] {
  return LEFT_OUT.filter(row => row.places.some(place => places.includes(place))).flatMap(({ tests }) => tests)
}
