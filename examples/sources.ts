import { dirname, join } from 'node:path'

/** An example's folder with what tsc leaves where it is. */
export function sourceFolder (example: string): string {
  return join(dirname(require.resolve('fastify-ktls/package.json')), 'examples', example)
}
