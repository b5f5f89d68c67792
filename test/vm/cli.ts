import { parseArgs } from 'node:util'
import { runInGuest, type GuestOptions } from './guest'
import { KERNEL_NAMES } from './kernels'

const USAGE = `usage: node dist/test/vm/cli.js [options] -- command [argument ...]
  --kernel NAME        ${KERNEL_NAMES.join(', ')} (6.12)
  --withhold-tls       leave out the module tls
  --forward HOST:GUEST 127.0.0.1:HOST leads to the guest's port; may be repeated
  --share FOLDER       mount the folder writable at /mnt/share
  --env NAME=VALUE     may be repeated
  --cpus N             (2)
  --memory MIB         (2048)
  --icount             one CPU, its clock counts instructions
  --timeout SECONDS    (600)
`

function parse (args: string[]): GuestOptions {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      kernel: { type: 'string', default: '6.12' },
      'withhold-tls': { type: 'boolean', default: false },
      forward: { type: 'string', multiple: true, default: [] },
      share: { type: 'string' },
      env: { type: 'string', multiple: true, default: [] },
      cpus: { type: 'string', default: '2' },
      memory: { type: 'string', default: '2048' },
      icount: { type: 'boolean', default: false },
      timeout: { type: 'string', default: '600' }
    }
  })
  const kernel = KERNEL_NAMES.find(name => name === values.kernel)
  if (kernel === undefined) throw new Error(`unknown kernel ${values.kernel}`)
  if (positionals.length === 0) throw new Error('no command')
  return {
    kernel,
    command: positionals,
    withholdTls: values['withhold-tls'],
    forward: values.forward.map(pair => {
      const [host, guest] = pair.split(':')
      return { host: count('--forward', host), guest: count('--forward', guest) }
    }),
    env: Object.fromEntries(values.env.map(pair => [pair.split('=', 1)[0], pair.slice(pair.indexOf('=') + 1)])),
    cpus: count('--cpus', values.cpus),
    memory: count('--memory', values.memory),
    icount: values.icount,
    timeout: count('--timeout', values.timeout) * 1000,
    ...(values.share === undefined ? {} : { share: values.share }),
    onProgress: message => { process.stderr.write(`${message}\n`) }
  }
}

function count (option: string, text: string | undefined): number {
  if (text === undefined || !/^[1-9]\d*$/.test(text)) throw new Error(`${option}: ${text ?? 'nothing'} is not a positive whole number`)
  return Number(text)
}

async function main (): Promise<void> {
  let options: GuestOptions
  try {
    options = parse(process.argv.slice(2))
  } catch (error) {
    process.stderr.write(`${String(error)}\n${USAGE}`)
    process.exitCode = 2
    return
  }
  const guest = runInGuest(options)
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => { guest.kill() })
  guest.stdout.pipe(process.stdout)
  guest.stderr.pipe(process.stderr)
  process.exitCode = await guest.exited
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 125
})
