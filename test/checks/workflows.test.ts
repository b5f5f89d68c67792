import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { LineCounter, isScalar, parseDocument, visit } from 'yaml'
import { makeFolder } from '../support/files'
import { ROOT } from '../support/node'
import { run } from '../vm/run'
import { Checkers } from './checkers'
import { loadValidator, readWorkflows, scriptsOf } from './workflows'

const workflows = readWorkflows()
const scripts = workflows.flatMap(({ path, jobs }) => Object.entries(jobs).flatMap(([name, job]) => scriptsOf(job).map(script => ({ of: `${path}: ${name}`, script }))))
const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string, scripts: Record<string, string> }

t.test("GitHub's own language service finds nothing", async t => {
  const validate = await loadValidator()
  for (const workflow of workflows) t.strictSame(await validate(workflow), [], workflow.path)
  const text = workflows.find(({ path }) => path.endsWith('/release.yml'))!.text
  for (const [right, wrong] of [['needs: pack', 'needs: pick'], ['runs-on: $', 'run-on: $'], ['matrix.runner', 'matrix.runners'], ['./.github/workflows/ci.yml', './.github/workflows/nothing.yml']] as const) {
    t.ok(text.includes(right))
    t.not((await validate({ path: '.github/workflows/broken.yml', text: text.replace(right, wrong) })).length, 0, `it finds ${wrong}`)
  }
})

t.test('each action is pinned to a commit, whose version is beside it', async t => {
  const pins = new Map<string, string>()
  for (const { path, text } of workflows) {
    const lines = new LineCounter()
    visit(parseDocument(text, { lineCounter: lines }), {
      Pair (_, { key, value }) {
        if (!isScalar(key) || key.value !== 'uses' || !isScalar(value)) return
        const uses = String(value.value)
        if (uses.startsWith('./')) return t.ok(existsSync(join(ROOT, uses)), uses) ? undefined : visit.SKIP
        const [action, commit] = uses.split('@') as [string, string]
        const where = `${path}:${lines.linePos(value.range![0]).line}: ${uses}`
        t.match(commit, /^[0-9a-f]{40}$/, where)
        t.match(value.comment, /^ v\d+\.\d+\.\d+$/, `${where}: its version`)
        t.equal(`${commit}${value.comment}`, pins.get(action) ?? `${commit}${value.comment}`, `${where}: the same everywhere`)
        pins.set(action, `${commit}${value.comment}`)
      }
    })
  }
  t.ok(pins.has('actions/checkout'))
})

t.test('a job may read, and ends', async t => {
  for (const { path, permissions, jobs } of workflows) {
    t.strictSame(permissions, { contents: 'read' }, path)
    for (const [name, job] of Object.entries(jobs)) {
      if (job.uses === undefined) t.ok(Number(job['timeout-minutes']) > 0, `${path}: ${name} has a time-out`)
      // npm's provenance is signed by it.
      t.strictSame(job.permissions, name === 'publish' ? { contents: 'read', 'id-token': 'write' } : undefined, `${path}: ${name}`)
    }
  }
})

t.test('no release without its tests', async t => {
  const { jobs } = workflows.find(({ path }) => path.endsWith('/release.yml'))! as { jobs: Record<string, { uses?: string, needs?: string }> }
  const before = (name: string | undefined): string[] => name === undefined ? [] : [name, ...before(jobs[name]!.needs)]
  t.strictSame(before('publish'), ['publish', 'load', 'pack', 'test'])
  t.equal(jobs.test!.uses, './.github/workflows/ci.yml')
})

t.test('what the scripts run is there', async t => {
  const named = scripts.flatMap(({ of, script }) => [...script.matchAll(/npm (?:run (\S+)|(test|start|pack)\b)/g)].map(([command, script, own]) => ({ of, command, name: script ?? own! })))
  for (const { of, command, name } of named) t.ok(name === 'pack' || name in manifest.scripts, `${of}: ${command}`)
  t.strictSame([...new Set(named.map(({ name }) => name))].sort(), ['lint', 'pack', 'test', 'test:asan', 'test:host', 'test:tsan', 'test:ubsan'])
  for (const { of, script } of scripts) {
    for (const [, path] of script.matchAll(/\bbash (\S+)/g)) t.ok(existsSync(join(ROOT, path!)), `${of}: ${path}`)
  }
})

t.test('a tag that is not the version is no release', async t => {
  const { script } = scripts.find(({ script }) => script.includes('GITHUB_REF_NAME'))!
  const as = (tag: string) => run('bash', ['-e', '-c', script], { cwd: ROOT, env: { ...process.env, NODE_OPTIONS: '', GITHUB_REF_NAME: tag } })
  await t.resolves(as(`v${manifest.version}`))
  await t.rejects(as(`v${manifest.version}-1`))
})

t.test('the doctor says what the release looks for', async t => {
  const { script } = scripts.find(({ script }) => script.includes('docker run'))!
  const sentence = /grep -qF "(.+)" bench\.txt/.exec(script)![1]!
  const doctor = readdirSync(join(ROOT, 'lib/doctor/bench')).map(name => readFileSync(join(ROOT, 'lib/doctor/bench', name), 'utf8'))
  t.ok(doctor.some(text => text.includes(sentence)), sentence)
})

t.test('shellcheck finds nothing in the scripts', async t => {
  const checkers = await Checkers.get()
  const folder = makeFolder(t)
  const files = [...new Set(scripts.map(({ script }) => script))].map((script, index) => {
    writeFileSync(join(folder, `${index}.sh`), `#!/bin/bash\n${script}\n`)
    return `${index}.sh`
  })
  await t.resolves(checkers.run('shellcheck', [...files, ...['install', 'run'].map(name => join(ROOT, '.ci', name))], folder))
})
