import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'
import type { Addon } from './binding'

export interface Missing {
  readonly problem: string
  /** Without a semicolon. */
  readonly remedy: string
}

/** The path is that from dist/lib. Bundlers put the manifest of the moment into the bundle. */
const { version: VERSION } = require('../../package.json') as { version: string }

/** This file, or the bundle that it has become a part of; one of ES modules has no such name for it. */
const FILE = typeof __filename === 'undefined' ? process.argv[1] ?? '' : __filename

const BUNDLED = basename(FILE) !== 'addon.js'

const PREBUILT = `prebuilds/linux-${process.arch}.node`

/** Beside a bundle, where it needs a name that says whose it is. */
const BESIDE_BUNDLE = join(dirname(FILE), `fastify-ktls.linux-${process.arch}.node`)

const MISSING: Missing = BUNDLED
  ? {
      problem: `this application is bundled, and finds neither ${BESIDE_BUNDLE} nor an installed fastify-ktls ${VERSION}`,
      remedy: `mark fastify-ktls as external when bundling and install it, or copy native/${PREBUILT} from its package to ${BESIDE_BUNDLE}`
    }
  : {
      problem: `none was built here, and the package has none for ${process.arch}`,
      remedy: 'build it: "npm install --save-dev node-gyp node-addon-api", then "node node_modules/fastify-ktls/native/build.js"'
    }

/** The addon, or why there is none and what helps. The only place that loads it. */
export function requireAddon (): Addon | Missing {
  let { problem, remedy } = MISSING
  for (const path of BUNDLED ? pathsForBundle() : pathsIn(join(__dirname, '../..'))) {
    try {
      // Not this module's own `require`, in whose place bundlers put one that knows only the bundle.
      return createRequire(path)(path)
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      if (code === 'ERR_DLOPEN_DISABLED') return { problem: message, remedy: remedyOfRefusal() }
      // Node lists the whole chain of modules below the first line.
      if (code !== 'MODULE_NOT_FOUND') problem = message.split('\n', 1)[0]!
    }
  }
  return { problem, remedy }
}

/** Where a package has its addon; what was built there comes first. */
function pathsIn (root: string): string[] {
  return ['build/Release/fastify_ktls.node', PREBUILT].map(path => join(root, 'native', path))
}

function * pathsForBundle (): Generator<string> {
  yield BESIDE_BUNDLE
  for (const folder of [() => dirname(FILE), process.cwd]) {
    const root = installedRoot(folder)
    if (root !== undefined) yield * pathsIn(root)
  }
}

/** The package that is installed for programs in a folder, of the version that the bundle has: another one's addon may differ. */
function installedRoot (folder: () => string): string | undefined {
  try {
    const require = createRequire(join(folder(), 'index.js'))
    const manifest = require.resolve('fastify-ktls/package.json')
    return (require(manifest) as { version: string }).version === VERSION ? dirname(manifest) : undefined
  } catch {
    // It is not installed there, or the folder is gone.
    return undefined
  }
}

/** Node gives one code for both options that refuse addons; without the first there is no `process.permission`. */
function remedyOfRefusal (): string {
  return (process.permission as unknown) === undefined ? 'start Node without --no-addons' : 'start Node with --allow-addons'
}
