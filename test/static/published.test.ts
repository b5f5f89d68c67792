/* @fastify/static's own tests, which it publishes, over it and over what takes its place; then with each request made three times, so that files are kept. */
import { execFile } from 'node:child_process'
import { appendFileSync, cpSync, mkdirSync, readdirSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { makeFolder } from '../support/files'
import { ROOT } from '../support/node'

const PUBLISHED = dirname(require.resolve('@fastify/static/package.json'))

/** Milliseconds for one of their files. */
const TIMEOUT = 120_000

/** A little below what there is of 10.1.11: tests, those that pass where each request is made three times, and answers from kept files. */
const LEAST = { tests: 380, passed: 360, hits: 150 }

/** Of all their files together. */
interface Outcome {
  readonly tests: number
  readonly passed: number
  readonly skipped: number
  /** Names. */
  readonly failed: readonly string[]
  /** Answers from kept files. */
  readonly hits: number
}

/** @fastify/static with its tests, and what is to follow in its main file. */
function copyPublished (t: Tap.Test, rest = ''): string {
  const folder = makeFolder(t)
  for (const name of ['index.js', 'lib', 'test', 'package.json']) cpSync(join(PUBLISHED, name), join(folder, name), { recursive: true })
  appendFileSync(join(folder, 'index.js'), rest)
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  // npm packs no links: this one is in the repository.
  mkdirSync(join(folder, 'test/static-symbolic-link/dir'))
  symlinkSync('../origin', join(folder, 'test/static-symbolic-link/dir/symlink'))
  return folder
}

async function outcomeIn (folder: string, flags: readonly string[] = []): Promise<Outcome> {
  let printed = ''
  for (const name of readdirSync(join(folder, 'test')).filter(name => name.endsWith('.test.js'))) {
    printed += await printedBy([...flags, '--test-reporter=tap', join('test', name)], folder)
  }
  const sum = (name: string) => [...printed.matchAll(new RegExp(`^# ${name} (\\d+)$`, 'gm'))].reduce((sum, [, count]) => sum + Number(count), 0)
  const failed = [...printed.matchAll(/^ *not ok \d+ - (.*)$/gm)].map(([, name]) => name!).sort()
  return { tests: sum('tests'), passed: sum('pass'), skipped: sum('skipped'), failed, hits: sum('hits') }
}

function printedBy (args: readonly string[], cwd: string): Promise<string> {
  // By NODE_OPTIONS tap loads code of its own into children.
  const options = { cwd, env: { ...process.env, NODE_OPTIONS: '' }, timeout: TIMEOUT, maxBuffer: 64 * 1024 * 1024 }
  return new Promise((resolve, reject) => {
    execFile(process.execPath, args, options, (error, stdout) => {
      // 1: a test has failed.
      if (error === null || error.code === 1) resolve(stdout)
      else reject(error)
    })
  })
}

const plain = copyPublished(t)
const replaced = copyPublished(t, `\nmodule.exports = require(${JSON.stringify(join(__dirname, 'replaced.js'))}).replaced(module.exports)\n`)

t.test('each request once', async t => {
  const expected = await outcomeIn(plain)
  t.strictSame(expected.failed, [])
  t.ok(expected.tests >= LEAST.tests, `${expected.tests} tests`)
  t.strictSame(await outcomeIn(replaced), expected)
})

t.test('each request three times', async t => {
  const flags = ['--require', join(__dirname, 'thrice.js')]
  // Those that count calls fail.
  const expected = await outcomeIn(plain, flags)
  t.ok(expected.passed >= LEAST.passed, `${expected.passed} passed`)
  t.equal(expected.hits, 0)
  const { hits, ...outcome } = await outcomeIn(replaced, flags)
  t.strictSame({ ...outcome, hits: 0 }, expected)
  t.ok(hits >= LEAST.hits, `${hits} answers from kept files`)
})
