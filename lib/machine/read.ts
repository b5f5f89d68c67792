import { readFileSync } from 'node:fs'

/** A small file's text; null where it is missing or may not be read. */
export function readIfThere (path: string): string | null {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return null
  }
}
