import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildAll } from '../../native/prebuilt/build'
import { ROOT } from '../support/node'
import { alone } from '../vm/cache'
import { run } from '../vm/run'

export interface Packed {
  /** The path of the tarball. */
  readonly tarball: string
  /** Of the tarball, in bytes. */
  readonly size: number
  /** The paths in it. */
  readonly files: readonly string[]
}

/** A folder that is gone when the test ends. */
export function temporaryFolder (t: Tap.Test): string {
  // Not below a package: what is installed there would be found by others.
  const folder = mkdtempSync(join(tmpdir(), 'fastify-ktls-package-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  return folder
}

/** What would be published. */
export async function pack (t: Tap.Test): Promise<Packed> {
  // Test files that run at the same time build in the same folder.
  mkdirSync(join(ROOT, 'dist'), { recursive: true })
  await alone(join(ROOT, 'dist/.prebuilt-lock'), () => buildAll(ROOT, message => t.comment(message)))
  return packWhatIsBuilt(t)
}

/** The same, with prebuilt addons only if they are there. Without its "prepack", which would compile anew what the tests run. */
export async function packWhatIsBuilt (t: Tap.Test): Promise<Packed> {
  const folder = temporaryFolder(t)
  const [{ filename, size, files }] = JSON.parse(await run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', folder], { cwd: ROOT })) as [{ filename: string, size: number, files: Array<{ path: string }> }]
  return { tarball: join(folder, filename), size, files: files.map(({ path }) => path) }
}
