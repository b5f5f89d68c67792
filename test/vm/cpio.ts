/** An entry of a cpio archive: a folder, a symbolic link or a file. */
export interface CpioEntry {
  readonly path: string
  readonly content: { readonly folder: true } | { readonly link: string } | { readonly file: Buffer, readonly mode: number }
}

const S_IFDIR = 0o040000
const S_IFREG = 0o100000
const S_IFLNK = 0o120000

/** Writes the "newc" format, the one the kernel unpacks (Documentation/driver-api/early-userspace/buffer-format.rst). */
export function cpio (entries: readonly CpioEntry[]): Buffer {
  const parts: Buffer[] = []
  entries.forEach((entry, index) => { parts.push(...member(entry, index + 1)) })
  parts.push(...member({ path: 'TRAILER!!!', content: { file: Buffer.alloc(0), mode: 0 } }, 0))
  return Buffer.concat(parts)
}

function member ({ path, content }: CpioEntry, inode: number): Buffer[] {
  const [mode, data] = 'folder' in content
    ? [S_IFDIR | 0o755, Buffer.alloc(0)]
    : 'link' in content
      ? [S_IFLNK | 0o777, Buffer.from(content.link)]
      : [S_IFREG | content.mode, content.file]
  const name = Buffer.from(`${path}\0`)
  const fields = [inode, mode, 0, 0, 1, 0, data.length, 0, 0, 0, 0, name.length, 0]
  const header = Buffer.from('070701' + fields.map(field => field.toString(16).padStart(8, '0')).join(''))
  return [padded(Buffer.concat([header, name])), padded(data)]
}

/** Names and contents end on multiples of four bytes. */
function padded (bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((4 - bytes.length % 4) % 4)])
}
