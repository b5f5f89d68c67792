import { run } from '../vm/run'

/** The folder of the package. */
export const ROOT = require.resolve('fastify-ktls/package.json').replace(/\/package\.json$/, '')

/**
 * What a child process with these arguments of Node's prints, which must be
 * JSON. Without NODE_OPTIONS, by which tap loads code of its own into children.
 */
export async function nodeJson<T> (args: readonly string[], options: { cwd?: string, env?: NodeJS.ProcessEnv } = {}): Promise<T> {
  return JSON.parse(await run('env', ['-u', 'NODE_OPTIONS', process.execPath, ...args], options)) as T
}
