import type { Stats } from 'node:fs'
import { join } from 'node:path'
import { mock } from 'node:test'
import t from 'tap'
import type { Binding } from '../../lib/binding'
import { Proof } from '../../lib/static/proof'

const FOLDER = 0o040755
const FILE = 0o100644
/** Errno of what has to be asked of a disk. */
const EAGAIN = -11

interface Identity {
  readonly inode?: number
  readonly mode?: number
  readonly size?: number
  /** Milliseconds since 1970. */
  readonly modified?: number
  readonly changed?: number
}

function pathsIn (names: Uint8Array): string[] {
  return Buffer.from(names).toString().split('\0').slice(0, -1)
}

/** A kernel that knows these files; of null it would have to ask a disk. */
function binding (files: Record<string, Identity | null>, local = true): Binding {
  const write = (identities: Uint8Array, at: number, { inode = 1, mode = FILE, size = 0, modified = 0, changed = 0 }: Identity) => {
    const fields = [1, inode, mode, size, modified * 1e6, changed * 1e6]
    fields.forEach((field, i) => Buffer.from(identities.buffer, identities.byteOffset).writeBigInt64LE(BigInt(field), at * 48 + i * 8))
  }
  const identify = (paths: Uint8Array, identities: Uint8Array) => {
    identities.fill(0)
    for (const [i, path] of pathsIn(paths).entries()) {
      const file = files[path]
      if (file === null) return EAGAIN
      if (file !== undefined) write(identities, i, file)
    }
    return 0
  }
  return {
    identify,
    areUnchanged: (paths: Uint8Array, identities: Uint8Array) => {
      const found = Buffer.alloc(identities.length)
      return identify(paths, found) === 0 && found.equals(identities)
    },
    identifyFile: (fd: number, identity: Uint8Array) => {
      write(identity, 0, { inode: fd })
      return true
    },
    areLocal: () => local
  } as Partial<Binding> as Binding
}

function take (files: Record<string, Identity | null>, paths: readonly string[], local = true): Proof {
  const proof = Proof.take(binding(files, local), paths)
  if (typeof proof === 'string') throw new Error(proof)
  return proof
}

t.test('what has changed just now is not proved', async t => {
  const now = 1e12
  mock.timers.enable({ apis: ['Date'], now })
  t.teardown(() => mock.timers.reset())
  for (const [identity, expected] of [
    [{ modified: now }, 'changing'], [{ changed: now }, 'changing'], [{ modified: now - 15 }, 'changing'], [{ modified: now + 60_000 }, 'changing'],
    [{ modified: now - 1000, changed: now - 1001 }, undefined], [null, 'cold'],
    // A file system that keeps whole seconds.
    [{ modified: now - 1000, changed: now - 1000 }, 'changing'], [{ modified: now - 3000, changed: now - 3000 }, undefined]
  ] as const) {
    const proof = Proof.take(binding({ '/a': identity }), ['/a'])
    t.equal(typeof proof === 'string' ? proof : undefined, expected)
  }
})

t.test('it holds while all is the same', async t => {
  const files: Record<string, Identity | null> = { '/f': { mode: FOLDER }, '/f/a': { inode: 5, size: 3, modified: 1, changed: 2 } }
  const proof = take(files, ['/f', '/f/a', '/f/b'])
  t.ok(proof.holds())
  for (const [path, other] of [
    ['/f', { mode: FOLDER, modified: 1 }], ['/f', { mode: FOLDER, changed: 1 }], ['/f/a', { inode: 6, size: 3, modified: 1, changed: 2 }], ['/f/a', { inode: 5, size: 4, modified: 1, changed: 2 }],
    ['/f/a', { inode: 5, size: 3, modified: 2, changed: 2 }], ['/f/a', { inode: 5, size: 3, modified: 1, changed: 3 }], ['/f/a', null], ['/f/b', {}]
  ] as ReadonlyArray<[string, Identity | null]>) {
    const former = files[path]
    files[path] = other
    t.notOk(proof.holds(), JSON.stringify([path, other]))
    if (former === undefined) delete files[path]
    else files[path] = former
    t.ok(proof.holds())
  }
})

t.test('what is in no folder is not asked for', async t => {
  const proof = take({ '/a': {}, '/a/index.html': null }, ['/a', '/a/index.html'])
  t.ok(proof.of('/a')!.holds())
})

t.test('where there was nothing its folder tells, but not of a link to nothing, nor without a folder', async t => {
  const folder = t.testdir({ dangling: t.fixture('symlink', 'nowhere') })
  const [dangling, nothing, elsewhere] = [join(folder, 'dangling'), join(folder, 'nothing'), '/elsewhere/nothing']
  const asked: string[] = []
  const kernel = binding({ [folder]: { mode: FOLDER }, '/a': {} })
  const proof = Proof.take({ ...kernel, areUnchanged: (paths, identities) => { asked.push(...pathsIn(paths)); return kernel.areUnchanged(paths, identities) } }, [folder, dangling, nothing, elsewhere, '/a']) as Proof
  const less = proof.of('/a')!
  asked.length = 0
  t.ok(less.holds())
  t.strictSame(asked, [folder, dangling, elsewhere, '/a'])
})

t.test('file systems whose times are not believed', async t => {
  t.equal(take({ '/a': {} }, ['/a'], false).of('/a'), undefined)
})

t.test('of what has been asked for by a path, and of what is open', async t => {
  const proof = take({ '/a': { inode: 7 }, '/b': { inode: 8, size: 3, modified: 1000, changed: 2000 } }, ['/a', '/b'])
  const stat = { ino: 8, size: 3, mtimeMs: 1000, ctimeMs: 2000 } as Stats
  t.ok(proof.isOf('/b', stat))
  for (const other of [{ ino: 7 }, { size: 4 }, { mtimeMs: 1001 }, { ctimeMs: 1999 }]) t.notOk(proof.isOf('/b', { ...stat, ...other } as Stats))
  t.notOk(proof.isOf('/c', stat))
  t.ok(proof.isOpenAs('/a', 7))
  t.notOk(proof.isOpenAs('/a', 8))
  t.notOk(proof.isOpenAs('/c', 7))
})
