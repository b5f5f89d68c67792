import type { GuestMessage } from './reports'

/** The program that place.ts runs in the guest. */
async function main (certificate: string, files: string, port: number): Promise<void> {
  tell({ type: 'progress', text: 'the guest is up, its Node loads Fastify' })
  // Loading takes seconds here, and the line above should not wait for it.
  const { createApp } = await import('./app.js')
  const app = await createApp({
    certificate,
    files,
    place: 'guest',
    onReply: report => { tell({ type: 'reply', report }) }
  })
  // The forwarded connections arrive on the guest's network interface.
  await app.listen({ host: '0.0.0.0', port })
  tell({ type: 'listening', support: app.ktls.support })
}

function tell (message: GuestMessage): void {
  process.stdout.write(`${JSON.stringify(message)}\n`)
}

const [certificate, files, port] = process.argv.slice(2)
if (certificate === undefined || files === undefined || port === undefined) {
  throw new Error('usage: guest-server.js CERTIFICATE-FOLDER FILES-FOLDER PORT')
}
main(certificate, files, Number(port)).catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.stack ?? error.message : String(error)}\n`)
  process.exit(1)
})
