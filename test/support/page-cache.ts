import { closeSync, openSync } from 'node:fs'
import { loadBinding } from '../../lib/binding'

/**
 * Whether the kernel says of this file, which has just been written or read, that
 * it is in the page cache: from Linux 6.5 on, and not on tmpfs and overlayfs.
 */
export function isKnownCached (path: string): boolean {
  const loaded = loadBinding()
  const fd = openSync(path, 'r')
  const cached = 'binding' in loaded && loaded.binding.isCached(fd, 0)
  closeSync(fd)
  return cached
}

/** Has the plugin take every file system for one that cannot say what is cached, to the test's end. */
export function forgetPageCache (t: Pick<Tap.Test, 'teardown'>): void {
  const loaded = loadBinding()
  if (!('binding' in loaded)) return
  const { isCached, readCached } = loaded.binding
  Object.assign(loaded.binding, { isCached: () => false, readCached: () => false })
  t.teardown(() => { Object.assign(loaded.binding, { isCached, readCached }) })
}
