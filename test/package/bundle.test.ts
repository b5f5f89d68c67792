import { copyFileSync, cpSync, mkdirSync, readFileSync, readdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { build } from 'esbuild'
import t from 'tap'
import { ROOT } from '../support/node'
import { run } from '../vm/run'
import type { Outcome } from './bundled-app'
import { temporaryFolder } from './pack'

const PREBUILT = `native/prebuilds/linux-${process.arch}.node`
/** As the README has it. */
const BESIDE = `fastify-ktls.linux-${process.arch}.node`
const INSTALLED = 'node_modules/fastify-ktls'

/** Each makes a bundle of `app.js` in a folder, and gives the bundle's path. */
const BUNDLERS: Readonly<Record<string, (t: Tap.Test, folder: string) => Promise<string>>> = {
  esbuild: async (t, folder) => {
    const outfile = join(folder, 'esbuild/server.js')
    const { errors, warnings } = await build({ absWorkingDir: folder, entryPoints: ['app.js'], outfile, bundle: true, minify: true, platform: 'node', logLevel: 'silent' })
    t.strictSame([...errors, ...warnings], [], 'esbuild has nothing to say')
    return outfile
  },
  'esbuild, as an ES module': async (_t, folder) => {
    const outfile = join(folder, 'esm/server.mjs')
    // What esbuild's users give it for packages that call require().
    const banner = { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url)" }
    await build({ absWorkingDir: folder, entryPoints: ['app.js'], outfile, bundle: true, format: 'esm', banner, platform: 'node', logLevel: 'silent' })
    return outfile
  },
  ncc: async (t, folder) => {
    await run(process.execPath, [join(ROOT, 'node_modules/@vercel/ncc/dist/ncc/cli.js'), 'build', 'app.js', '--out', 'ncc', '--no-cache'], { cwd: folder })
    t.strictSame(readdirSync(join(folder, 'ncc')).filter(name => /\.node$|native/.test(name)), [], 'ncc takes no addon along')
    return join(folder, 'ncc/index.js')
  }
}

/** Runs it without NODE_OPTIONS, by which tap loads code of its own into children. */
async function outcomeOf (bundle: string, cwd: string): Promise<Outcome> {
  const printed = await run('env', ['-u', 'NODE_OPTIONS', process.execPath, bundle], { cwd })
  return JSON.parse(printed) as Outcome
}

/** A folder with the package as it is published, and what it needs. */
function makeProject (t: Tap.Test): string {
  const folder = temporaryFolder(t)
  const installed = join(folder, INSTALLED)
  mkdirSync(join(installed, dirname(PREBUILT)), { recursive: true })
  cpSync(join(ROOT, 'dist/lib'), join(installed, 'dist/lib'), { recursive: true })
  copyFileSync(join(ROOT, 'package.json'), join(installed, 'package.json'))
  copyFileSync(join(ROOT, 'native/build/Release/fastify_ktls.node'), join(installed, PREBUILT))
  for (const name of ['fastify', 'fastify-plugin', '@fastify']) symlinkSync(join(ROOT, 'node_modules', name), join(folder, 'node_modules', name))
  copyFileSync(join(__dirname, 'bundled-app.js'), join(folder, 'app.js'))
  return folder
}

for (const [name, bundle] of Object.entries(BUNDLERS)) {
  t.test(name, async t => {
    const project = makeProject(t)
    const alone = temporaryFolder(t)
    const made = await bundle(t, project)
    const moved = join(alone, made.endsWith('.mjs') ? 'server.mjs' : 'server.js')
    renameSync(made, moved)

    const without = await outcomeOf(moved, alone)
    t.match(without.support, { available: false, reason: 'addon-missing' })
    t.equal(without.support.detail, 'the native addon could not be loaded ' +
      `(this application is bundled, and finds neither ${join(alone, BESIDE)} nor an installed fastify-ktls ${version(project)}); ` +
      `mark fastify-ktls as external when bundling and install it, or copy ${PREBUILT} from its package to ${join(alone, BESIDE)}`)
    t.strictSame(without.addons, [])

    t.strictSame((await outcomeOf(moved, project)).addons, [join(project, INSTALLED, PREBUILT)], 'the package of the working directory')
    mkdirSync(join(alone, 'node_modules'))
    symlinkSync(join(project, INSTALLED), join(alone, INSTALLED))
    const beside = await outcomeOf(moved, '/')
    t.strictSame(beside.addons, [join(project, INSTALLED, PREBUILT)], 'the package that is installed for the bundle')
    t.not(beside.support.reason, 'addon-missing')

    writeFileSync(join(project, INSTALLED, 'package.json'), readFileSync(join(project, INSTALLED, 'package.json'), 'utf8').replace(/"version": ".*"/, '"version": "0.0.0"'))
    t.match((await outcomeOf(moved, '/')).support, { reason: 'addon-missing', detail: / bundled, / }, 'not that of another version')

    copyFileSync(join(project, INSTALLED, PREBUILT), join(alone, BESIDE))
    const copied = await outcomeOf(moved, '/')
    t.strictSame(copied.addons, [join(alone, BESIDE)], 'the addon beside it')
    t.not(copied.support.reason, 'addon-missing')

    writeFileSync(join(alone, BESIDE), 'no addon')
    t.match((await outcomeOf(moved, '/')).support, { reason: 'addon-missing', detail: /\(\S+: .*\); mark fastify-ktls as external/ }, 'what is wrong with it')
  })
}

function version (project: string): string {
  return (JSON.parse(readFileSync(join(project, INSTALLED, 'package.json'), 'utf8')) as { version: string }).version
}
