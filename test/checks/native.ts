import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../support/node'
import { run } from '../vm/run'

/** How one file is compiled: https://clang.llvm.org/docs/JSONCompilationDatabase.html */
interface Compilation { readonly directory: string, readonly file: string, readonly command: string }

/** The sources in C and C++ below these folders of the package, by their paths in it. */
export function sources (...folders: readonly string[]): string[] {
  return folders.flatMap(folder => readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter(name => /\.(cc|c|h)$/.test(name) && !/^(build|prebuilds)\//.test(name))
    .map(name => join(folder, name))).sort()
}

/**
 * Writes `compile_commands.json` into `folder`, and returns the sources of native/ in it, by their paths in the
 * package. node-gyp says how it compiles them; it leaves a database with every target in native/build.
 */
export async function writeDatabase (folder: string): Promise<string[]> {
  const native = join(ROOT, 'native')
  const [, configuration = ''] = readFileSync(join(native, 'build/config.gypi'), 'utf8').split(/^(?=\{)/m)
  const { nodedir } = (JSON.parse(configuration) as { variables: { nodedir: string } }).variables
  await run(process.execPath, [require.resolve('node-gyp/bin/node-gyp.js'), 'configure', '--tests=1', `--nodedir=${nodedir}`, '--', '-f', 'compile_commands_json'], { cwd: native })
  const all = JSON.parse(readFileSync(join(native, 'build/Release/compile_commands.json'), 'utf8')) as Compilation[]
  // Each is in several addons.
  const once = new Map(all.filter(({ file }) => file.startsWith(`${native}/`)).map(entry => [entry.file, entry]))
  // Others' headers are as the system's: nothing is to be found in them.
  const entries = [...once.values()].map(entry => ({ ...entry, command: entry.command.replaceAll(/-I(?=\S*\/(node-addon-api|include\/node)\b)/g, '-isystem ') }))
  writeFileSync(join(folder, 'compile_commands.json'), JSON.stringify(entries))
  return entries.map(({ file }) => file.slice(ROOT.length + 1)).sort()
}
