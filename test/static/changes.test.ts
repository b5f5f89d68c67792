/* A kept file is never stale: whatever changes in the file system, the next answer is that of @fastify/static. */
import { appendFileSync, mkdirSync, mkdtempSync, renameSync, rmSync, statSync, symlinkSync, truncateSync, unlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import type { FastifyStaticOptions } from '@fastify/static'
import type { FastifyReply, InjectOptions } from 'fastify'
import t from 'tap'
import { fileCountersOf } from '../../lib/observe/file-counters'
import { makeFolder, openCount } from '../support/files'
import { Random } from '../support/random'
import { until } from '../support/wait'
import { compared, comparedOverSockets, seeing } from './compared'
import type { Compared } from './compared'

/** Milliseconds after which what has been written counts as old. */
const OLD = 30
const STEPS = 2000

const write = (root: string, name: string, content: string) => {
  mkdirSync(dirname(join(root, name)), { recursive: true })
  writeFileSync(join(root, name), content)
}

/** Fails unless both answer alike; asks until the file is kept. */
async function settle (t: Tap.Test, { ask }: Compared, url: string, headers = {}): Promise<string> {
  await setTimeout(OLD)
  let answer = ''
  for (let time = 1; time <= 3; time++) {
    const [kept, plain] = await ask({ url, headers })
    t.equal(kept, plain)
    answer = plain
  }
  return answer
}

interface Change {
  readonly what: string
  readonly make: (root: string) => void
  readonly options?: (root: string) => Omit<FastifyStaticOptions, 'root'> & { root?: FastifyStaticOptions['root'] }
  readonly url?: string
  /** Whether @fastify/static's answer is another by it. */
  readonly same?: boolean
}

const CHANGES: readonly Change[] = [
  { what: 'replaced by rename', make: root => { write(root, 'new', 'other'); renameSync(join(root, 'new'), join(root, 'a.txt')) } },
  { what: 'overwritten in place', make: root => write(root, 'a.txt', 'word') },
  {
    what: 'overwritten in place, its date put back',
    make: root => {
      const { atime, mtime } = statSync(join(root, 'a.txt'))
      write(root, 'a.txt', 'word')
      utimesSync(join(root, 'a.txt'), atime, mtime)
    }
  },
  { what: 'made shorter', make: root => truncateSync(join(root, 'a.txt'), 2) },
  { what: 'emptied', make: root => truncateSync(join(root, 'a.txt'), 0) },
  { what: 'made longer', make: root => appendFileSync(join(root, 'a.txt'), 'more') },
  { what: 'deleted', make: root => rmSync(join(root, 'a.txt')) },
  { what: 'a folder in its place', make: root => { rmSync(join(root, 'a.txt')); mkdirSync(join(root, 'a.txt')) } },
  { what: 'only its date', make: root => utimesSync(join(root, 'a.txt'), 1, 1) },
  { what: 'its folder renamed', url: '/sub/b.txt', make: root => renameSync(join(root, 'sub'), join(root, 'gone')) },
  {
    what: 'another folder in the place of its own',
    url: '/sub/b.txt',
    make: root => { renameSync(join(root, 'sub'), join(root, 'gone')); write(root, 'sub/b.txt', 'of another') }
  },
  {
    what: 'a link switched',
    url: '/current/b.txt',
    make: root => { unlinkSync(join(root, 'current')); symlinkSync('second', join(root, 'current')) }
  },
  {
    what: 'a link above the root switched',
    url: '/b.txt',
    options: root => ({ root: join(root, 'current') }),
    make: root => { unlinkSync(join(root, 'current')); symlinkSync('second', join(root, 'current')) }
  },
  { what: 'a compressed sibling created', options: () => ({ preCompressed: true }), make: root => write(root, 'a.txt.br', 'br') },
  { what: 'a compressed sibling removed', url: '/c.txt', options: () => ({ preCompressed: true }), make: root => rmSync(join(root, 'c.txt.br')) },
  { what: 'an index that comes first', url: '/', options: () => ({ index: ['first.html', 'index.html'] }), make: root => write(root, 'first.html', 'first') },
  { what: 'the index removed', url: '/', make: root => rmSync(join(root, 'index.html')) },
  { what: 'a file before the one with an extension', url: '/page', options: () => ({ extensions: ['html'] }), make: root => write(root, 'page', 'without') },
  { what: 'one in an earlier root', options: root => ({ root: [join(root, 'second'), root] }), make: root => write(root, 'second/a.txt', 'earlier') },
  { what: 'an earlier root created', options: root => ({ root: [join(root, 'none'), root] }), make: root => write(root, 'none/a.txt', 'earlier') },
  {
    what: "an earlier root's folder created",
    url: '/sub/b.txt',
    options: root => ({ root: [join(root, 'second'), root] }),
    make: root => write(root, 'second/sub/b.txt', 'earlier')
  },
  { what: 'what was not there created', url: '/none.txt', make: root => write(root, 'none.txt', 'there') },
  { what: 'what was not there linked', url: '/none.txt', make: root => symlinkSync('a.txt', join(root, 'none.txt')) },
  { what: 'what was not there renamed to', url: '/none.txt', make: root => renameSync(join(root, 'a.txt'), join(root, 'none.txt')) },
  { what: 'what a link to nothing names created', url: '/dangling', make: root => write(root, 'first/target', 'there') },
  { what: 'the folder of what was not there created', url: '/no/such/file', make: root => write(root, 'no/such/file', 'there') },
  { what: 'a folder in the place of a file above what was not there', url: '/a.txt/below', make: root => { rmSync(join(root, 'a.txt')); write(root, 'a.txt/below', 'there') } },
  { what: 'the folder of what was not there replaced', url: '/first/none.txt', make: root => { renameSync(join(root, 'first'), join(root, 'gone')); write(root, 'first/none.txt', 'there') } },
  { what: 'an index of a folder that had none', url: '/first/', make: root => write(root, 'first/index.html', 'index') },
  { what: 'what was not there, by an extension', url: '/none', options: () => ({ extensions: ['html'] }), make: root => write(root, 'none.html', 'there') },
  { what: 'what was not there, compressed', url: '/none.txt', options: () => ({ preCompressed: true }), make: root => write(root, 'none.txt.br', 'br') },
  { what: 'what was not there, in a later root', url: '/none.txt', options: root => ({ root: [root, join(root, 'second')] }), make: root => write(root, 'second/none.txt', 'there') },
  { what: 'what was not there, in a root that was not', url: '/none.txt', options: root => ({ root: [root, join(root, 'none')] }), make: root => write(root, 'none/none.txt', 'there') },
  { what: 'something else in its folder', same: true, make: root => write(root, 'new', 'other') }
]

function makeRoot (t: Tap.Test): string {
  const root = makeFolder(t)
  for (const [name, content] of [
    ['a.txt', 'text'], ['c.txt', 'plain'], ['c.txt.br', 'br'], ['index.html', 'index'], ['page.html', 'page'], ['sub/b.txt', 'below'], ['first/b.txt', 'of the first'],
    ['second/b.txt', 'of the second']
  ] as const) write(root, name, content)
  symlinkSync('first', join(root, 'current'))
  symlinkSync('first/target', join(root, 'dangling'))
  return root
}

for (const { what, make, options = () => ({}), url = '/a.txt', same = false } of CHANGES) {
  t.test(what, async t => {
    const root = makeRoot(t)
    const both = await compared(t, { suppressWarning: true, root, ...options(root) } as FastifyStaticOptions)
    const headers = { 'accept-encoding': 'br' }
    const before = await settle(t, both, url, headers)
    make(root)
    const [kept, plain] = await both.ask({ url, headers })
    t.equal(kept, plain)
    t.equal(plain === before, same, 'the answer is another')
    t.equal(await settle(t, both, url, headers), plain)
  })
}

t.test('an answer that was learnt while its file was replaced', async t => {
  const root = makeRoot(t)
  const both = await compared(t, { root })
  await setTimeout(OLD)
  for (let round = 0; round < 50; round++) {
    const asked = both.ask({ url: '/a.txt' })
    write(root, 'new', `round ${round}`)
    renameSync(join(root, 'new'), join(root, 'a.txt'))
    await asked
    const [kept, plain] = await both.ask({ url: '/a.txt' })
    t.equal(kept, plain, `round ${round}`)
  }
})

t.test('requests and changes of the file system, as they come', async t => {
  const seed = Number(process.env.KTLS_TEST_SEED ?? Date.now() % 1e6)
  const steps = Number(process.env.KTLS_TEST_STEPS ?? STEPS)
  t.comment(`KTLS_TEST_SEED=${seed} KTLS_TEST_STEPS=${steps}`)
  const random = new Random(seed)
  const root = makeRoot(t)
  const second = mkdtempSync(join(root, 'root-'))
  const names = ['a.txt', 'a.txt.br', 'a.txt.gz', 'index.html', 'page.html', 'page', 'sub/b.txt', 'sub/index.html', 'sub/deep/c.txt', 'c.txt', 'c.txt.br']
  const urls = ['/a.txt', '/', '/page', '/sub', '/sub/', '/sub/b.txt', '/sub/deep/c.txt', '/c.txt', '/a.txt?x', '//a.txt', '/nope']
  const all = await Promise.all([
    { root }, { root, prefix: '/' }, { root: second }, { root, preCompressed: true }, { root: [second, root] }, { root: [second, root], preCompressed: true, extensions: ['html'] }, { root, index: ['page.html', 'index.html'] },
    { root, redirect: true }, { root, list: true, setHeaders: (reply: FastifyReply, path: string) => { reply.header('x-path', path) } }
  ].map((options, i) => i % 2 === 0 ? comparedOverSockets(t, options as FastifyStaticOptions) : compared(t, options as FastifyStaticOptions, seeing)))
  const change = async () => {
    const where = random.pick([root, second])
    const name = random.pick(names)
    const path = join(where, name)
    const acts = [
      () => write(where, name, `${random.below(1e9)}`), () => write(where, name, 'same size'), () => rmSync(path), () => truncateSync(path, random.below(20)), () => appendFileSync(path, 'x'),
      () => renameSync(path, join(where, random.pick(names))), () => rmSync(dirname(path) === where ? path : dirname(path), { recursive: true }),
      () => { write(where, 'new', `${random.below(1e9)}`); renameSync(join(where, 'new'), path) }, () => utimesSync(path, random.below(1e9), random.below(1e9))
    ]
    try {
      random.pick(acts)()
    } catch (error) {
      // Not there, or a folder.
      if (!/^(ENOENT|ENOTDIR|EISDIR|ENOTEMPTY|EEXIST|ELOOP|EINVAL)$/.test((error as NodeJS.ErrnoException).code ?? '')) throw error
    }
    if (random.below(2) === 0) await setTimeout(OLD)
  }
  const headers = [{}, {}, { 'accept-encoding': 'br' }, { 'accept-encoding': 'gzip, br' }, { range: 'bytes=0-2' }, { range: 'bytes=-3' }, { 'if-none-match': '*' }, { 'if-modified-since': new Date(5e11).toUTCString() }]
  let wrong = 0
  for (let step = 1; step <= steps && wrong === 0; step++) {
    if (random.below(20) === 0) await change()
    const request: InjectOptions = { method: random.pick(['GET', 'GET', 'HEAD']), url: random.pick(urls), headers: random.pick(headers) }
    const { ask } = random.pick(all)
    // Often enough in a row to be answered from what is kept.
    for (let time = random.below(4); time >= 0; time--) {
      const [kept, plain] = await ask(request)
      if (kept === plain) continue
      wrong++
      t.equal(kept, plain, `step ${step}: ${JSON.stringify(request)}`)
    }
  }
  t.equal(wrong, 0)
  const hits = all.reduce((sum, { kept }) => sum + fileCountersOf(kept.server).snapshot().hits, 0)
  t.ok(hits > steps / 10, `${hits} from files kept open`)
  await Promise.all(all.map(({ kept }) => kept.close()))
  // Closed in libuv's pool.
  await until(() => openCount(join(root, 'a.txt')) === 0)
})
