/* The application that bundle.test.ts bundles: prints what it can do, in JSON. */
import Fastify from 'fastify'
import fastifyKtls from 'fastify-ktls'
import type { Support } from 'fastify-ktls'

export interface Outcome {
  readonly support: Support
  /** The paths of the addons that are loaded. */
  readonly addons: readonly string[]
}

async function main (): Promise<void> {
  const app = Fastify()
  await app.register(fastifyKtls)
  const { support } = app.ktls
  await app.close()
  const { sharedObjects } = process.report.getReport() as unknown as { sharedObjects: string[] }
  console.log(JSON.stringify({ support, addons: sharedObjects.filter(path => path.endsWith('.node')) } satisfies Outcome))
}

main()
