import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { certificate } from '../../test/certificate'
import { makeFile } from '../../test/support/files'
import { cacheEntry } from '../../test/vm/cache'
import type { Progress } from '../../test/vm/cache'

export const LARGE = '100MB.bin'

const SIZES: Readonly<Record<string, number>> = { '1MB.bin': 1e6, '10MB.bin': 10e6, [LARGE]: 100e6 }

/** The folder with `key.pem` and `cert.pem`: self-signed for localhost, and another one each month. */
export function certificateFolder (): Promise<string> {
  const month = new Date().toISOString().slice(0, 7)
  return cacheEntry('start-certificate', month, async folder => {
    const { key, cert } = await certificate()
    await writeFile(join(folder, 'key.pem'), key, { mode: 0o600 })
    await writeFile(join(folder, 'cert.pem'), cert)
  })
}

/** The folder with the files to download, and `SHA256SUMS` in the format of sha256sum(1). */
export function filesFolder (onProgress: Progress): Promise<string> {
  return cacheEntry('start-files', '1', async folder => {
    onProgress('making files of 1, 10 and 100 MB')
    const files = Object.entries(SIZES).map(([name, size]) => makeFile(folder, size, name))
    await writeFile(join(folder, 'SHA256SUMS'), files.map(file => `${file.sha256}  ${file.name}\n`).join(''))
  })
}
