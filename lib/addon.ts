import { join } from 'node:path'
import type { Addon } from './binding'

export interface Missing {
  readonly problem: string
  readonly remedy: string
}

/** Node gives one code for both options that refuse addons; without the first there is no `process.permission`. */
function remedyOfRefusal (): string {
  return (process.permission as unknown) === undefined ? 'start Node without --no-addons' : 'start Node with --allow-addons'
}

/** The addon, or why there is none and what helps. The only place that loads it. */
export function requireAddon (): Addon | Missing {
  let problem = `none was built here, and the package has none for ${process.arch}`
  // What was built here comes first.
  for (const file of ['build/Release/fastify_ktls.node', `prebuilds/linux-${process.arch}.node`]) {
    try {
      return require(join(__dirname, '../../native', file))
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      if (code === 'ERR_DLOPEN_DISABLED') return { problem: message, remedy: remedyOfRefusal() }
      // Node lists the whole chain of modules below the first line.
      if (code !== 'MODULE_NOT_FOUND') problem = message.split('\n', 1)[0]!
    }
  }
  return { problem, remedy: 'build it: "npm install --save-dev node-gyp node-addon-api", then "node node_modules/fastify-ktls/native/build.js"' }
}
