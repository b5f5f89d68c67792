import { spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import type { Progress } from './cache'
import { initrd } from './initrd'
import { job } from './job'
import { kernel, type KernelName } from './kernels'
import { PORTS, qemuArguments } from './qemu'
import { copyUntilMark } from './stream-end'
import { Tools } from './tools'

const CONSOLE_TAIL = 4000

export interface GuestOptions {
  readonly kernel: KernelName
  /** Program and arguments, run as root in the guest. */
  readonly command: readonly string[]
  /** @defaultValue the current folder; not below /run, where the guest has a file system of its own */
  readonly cwd?: string
  /** Added to PATH, HOME and LANG. */
  readonly env?: Readonly<Record<string, string>>
  /** Leaves out the module `tls`, as on a machine that has none. */
  readonly withholdTls?: boolean
  /** Ports of 127.0.0.1 on the host that lead to ports of the guest. */
  readonly forward?: ReadonlyArray<{ readonly host: number, readonly guest: number }>
  /** MiB. @defaultValue 2048 */
  readonly memory?: number
  /** @defaultValue 2 */
  readonly cpus?: number
  /** The guest's clock counts instructions, one a nanosecond, on one CPU. */
  readonly icount?: boolean
  /** Milliseconds after which the guest is killed. */
  readonly timeout: number
  /** A folder of the host, mounted writable at /mnt/share. */
  readonly share?: string
  readonly onProgress?: Progress
}

export interface Guest {
  /** Byte for byte what the command wrote, as it writes. Unread output is kept in memory. */
  readonly stdout: Readable
  readonly stderr: Readable
  /** The command's exit code, 128 + n after signal n, 137 after `kill()`; rejects if the guest failed or ran out of time. */
  readonly exited: Promise<number>
  kill: () => void
}

const KILLED = 137

export function runInGuest (options: GuestOptions): Guest {
  const output: Output = { stdout: new Readable({ read () {} }), stderr: new Readable({ read () {} }) }
  const killed = new AbortController()
  const exited = start(options, output, killed.signal)
  return { ...output, exited, kill: () => { killed.abort() } }
}

interface Output { readonly stdout: Readable, readonly stderr: Readable }

async function start (options: GuestOptions, output: Output, killed: AbortSignal): Promise<number> {
  try {
    const onProgress = options.onProgress ?? (() => {})
    const tools = await Tools.get(onProgress)
    const chosen = await kernel(options.kernel, tools, onProgress)
    const files = { image: chosen.image, initrd: await initrd(chosen, tools), firmware: tools.firmware }
    if (killed.aborted) return KILLED
    return await boot(options, tools.command('qemu-system-x86_64', qemuArguments(options, files)), chosen.modules, output, killed)
  } finally {
    for (const stream of [output.stdout, output.stderr]) if (!stream.readableEnded) stream.push(null)
  }
}

async function boot (
  options: GuestOptions, command: readonly string[], modules: string, output: Output, killed: AbortSignal
): Promise<number> {
  // The kernel kills QEMU when this process ends, in whatever way (prctl(2), PR_SET_PDEATHSIG).
  const qemu = spawn('setpriv', ['--pdeathsig', 'KILL', ...command], { stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe', 'pipe'] })
  const descriptors: readonly unknown[] = qemu.stdio
  const [stdout, stderr, control] = PORTS.map(fd => descriptors[fd]) as [Socket, Socket, Socket]
  for (const port of [stdout, stderr, control]) port.on('error', () => {}) // QEMU's end tells what happened
  const shown = consoleTail(qemu)
  let timedOut = false
  const timer = setTimeout(() => { timedOut = true; qemu.kill('SIGKILL') }, options.timeout)
  const kill = (): void => { qemu.kill('SIGKILL') }
  killed.addEventListener('abort', kill)

  const mark = randomBytes(16).toString('hex')
  const end = Buffer.from(`\0${mark}`)
  control.write(job(options, modules, mark))
  const ended = new Promise<void>((resolve, reject) => {
    qemu.on('error', reject)
    qemu.on('close', () => { resolve() })
  })
  try {
    const done = Promise.all([
      exitCode(control), copyUntilMark(stdout, output.stdout, end), copyUntilMark(stderr, output.stderr, end)
    ])
    const first = await Promise.race([done, ended])
    if (first !== undefined) return first[0]
    if (killed.aborted) return KILLED
    const what = timedOut ? `did not finish within ${options.timeout} ms` : 'ended by itself'
    throw new Error(`the guest (kernel ${options.kernel}, ${options.command.join(' ')}) ${what}; its console:\n${shown()}`)
  } finally {
    clearTimeout(timer)
    killed.removeEventListener('abort', kill)
    kill()
    await ended
  }
}

function exitCode (control: Socket): Promise<number> {
  return new Promise(resolve => {
    let text = ''
    control.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
      if (text.endsWith('\n')) resolve(Number(text))
    })
  })
}

/** The last that the kernel and QEMU had to say. */
function consoleTail (qemu: ChildProcess): () => string {
  let text = ''
  for (const stream of [qemu.stdout, qemu.stderr]) {
    stream?.setEncoding('utf8').on('data', (chunk: string) => { text = (text + chunk).slice(-CONSOLE_TAIL) })
  }
  return () => text.trimEnd()
}
