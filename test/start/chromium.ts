import { access } from 'node:fs/promises'
import { chromium } from 'playwright-core'
import type { Browser } from 'playwright-core'
import { run } from '../vm/run'

const EXECUTABLE = '/usr/bin/chromium'

const ARGUMENTS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync'
]

/** Debian's Chromium, installed if it is not there. */
export async function launchChromium (): Promise<Browser> {
  if (!await isInstalled()) await install()
  return chromium.launch({ executablePath: EXECUTABLE, args: ARGUMENTS })
}

async function install (): Promise<void> {
  const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const options = ['-o', 'DPkg::Lock::Timeout=600', '-o', 'Acquire::Retries=3']
  try {
    await run('apt-get', [...options, 'update'], { env: environment })
    await run('apt-get', [...options, 'install', '--yes', '--no-install-recommends', 'chromium'], { env: environment })
  } catch (error) {
    throw new Error(`this test needs Chromium at ${EXECUTABLE}; on Debian, as root: apt-get install chromium`, { cause: error })
  }
}

function isInstalled (): Promise<boolean> {
  return access(EXECUTABLE).then(() => true, () => false)
}
