import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import t from 'tap'
import { PAGES, QUICK_START, blocksOf, commandsOf, rowsOf, textOf } from '../package/readme'
import { ROOT } from '../support/node'

/** The pages' commands. package/install runs them, or another test, or else their page says that nobody has tried them. */
const COMMANDS: Readonly<Record<string, readonly string[]>> = {
  'README.md': [
    // By package/install, with a tarball; what the doctor says without the module: fallback/doctor.
    'npm install fastify-ktls fastify @fastify/static', 'sudo modprobe tls',
    ...QUICK_START.prepare, 'node app.js', ...QUICK_START.use,
    'npm install && npm start'
  ],
  'docs/benchmark.md': ['npm run bench', 'npm run bench -- --plain', 'npm run bench -- --guest', 'npm run bench -- --workload "10 MB"'],
  'docs/compatibility.md': [
    'modprobe tls && echo tls > /etc/modules-load.d/tls.conf',
    'docker run --rm --privileged --volume /:/host:ro busybox chroot /host modprobe tls',
    'npm install --save-dev node-gyp node-addon-api', 'node node_modules/fastify-ktls/native/build.js'
  ],
  'docs/doctor.md': ['npx fastify-ktls', 'npx fastify-ktls bench FILE']
}

/** The beginnings of their other blocks. */
const BLOCKS: Readonly<Record<string, ReadonlyArray<readonly [language: string, beginning: string]>>> = {
  'README.md': [
    ['js', "const fs = require('node:fs')"],
    // As in static/options.
    ['js', "fastify.register(require('fastify-"]
  ],
  // Of a DaemonSet, and of a pod.
  'docs/compatibility.md': [['yaml', 'apiVersion: apps/v1'], ['yaml', 'spec:']],
  'docs/doctor.md': [['', 'ok    system       Linux 6.12.117+']],
  'docs/how-it-works.md': [['', 'handshake, requests   client ──► T']],
  'docs/metrics-and-events.md': [
    ['js', '{'],
    ['js', "fastify.addHook('onResponse', asyn"],
    ['js', "const { subscribe } = require('nod"],
    ['js', "const { register } = require('prom"],
    // Their names: unit/metrics.
    ['promql', '# Share of all bytes that went pas'],
    ['promql', 'min by (instance) (fastify_ktls_av']
  ],
  'docs/static.md': [['js', "fastify.register(require('fastify-"]]
}

t.test('the blocks of README and docs are known, so that each new one finds its test', t => {
  // Those of integrations.md: package/integrations.
  for (const page of PAGES.filter(page => page !== 'docs/integrations.md')) {
    const blocks = blocksOf(page)
    t.strictSame(commandsOf(blocks), COMMANDS[page] ?? [], page)
    t.strictSame(blocks.filter(({ language }) => language !== 'sh').map(({ language, code }) => [language, code.split('\n')[0]!.slice(0, 34)]), BLOCKS[page] ?? [], page)
  }
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: Record<string, string> }
  t.match(scripts, { start: String, test: String, bench: String })
  t.end()
})

/** All that links to others. */
const LINKING: readonly string[] = ['.', 'docs', '.github', 'bench', 'test'].flatMap(folder =>
  readdirSync(join(ROOT, folder)).filter(name => name.endsWith('.md')).map(name => normalize(join(folder, name))))

/** By which a link reaches each heading of a page, as GitHub makes them of the headings' words. */
function anchorsOf (page: string): Set<string> {
  const anchors = new Set<string>()
  for (const [, heading] of textOf(page).matchAll(/^#+ (.+)$/gm)) {
    const words = heading!.toLowerCase().replace(/[^\w\- ]/g, '').replace(/ /g, '-')
    let anchor = words
    for (let count = 1; anchors.has(anchor); count++) anchor = `${words}-${count}`
    anchors.add(anchor)
  }
  return anchors
}

/** What a page links to within the repository: in brackets and parentheses, code spans left out. */
function linksOf (page: string): string[] {
  const links = textOf(page).replace(/`[^`]*`/g, '').matchAll(/\]\(([^)\s]+)\)/g)
  return [...links].map(([, link]) => link!).filter(link => !/^\w+:/.test(link))
}

t.test('each link leads to a file, and to a heading, that is there', t => {
  for (const page of LINKING) {
    for (const link of linksOf(page)) {
      const [path, anchor] = link.split('#') as [string, string?]
      const target = path === '' ? page : normalize(join(dirname(page), path))
      t.ok(existsSync(join(ROOT, target)), `${page}: ${link}`)
      if (anchor !== undefined) t.ok(anchorsOf(target).has(anchor), `${page}: ${link}`)
    }
  }
  t.end()
})

t.test('the README leads to each page of docs, and to each question', t => {
  const links = linksOf('README.md')
  for (const page of PAGES.slice(1)) t.ok(links.some(link => link.split('#')[0] === page), page)
  const [, ...questions] = anchorsOf('docs/questions.md')
  t.ok(questions.length > 0)
  for (const question of questions) t.ok(links.includes(`docs/questions.md#${question}`), question)
  t.end()
})

t.test('each reason and each error has its row in reasons.md, and there are no others', t => {
  const declarations = readFileSync(join(ROOT, 'types/index.d.ts'), 'utf8')
  const members = (type: string) => [...new RegExp(`export type ${type} =(.*?)\n\n`, 's').exec(declarations)![1]!.matchAll(/'([\w-]+)'/g)].map(([, name]) => name!)
  const errors = [...readFileSync(join(ROOT, 'lib/errors.ts'), 'utf8').matchAll(/^ {2}'(FST_KTLS_\w+)'/gm)].map(([, code]) => code!)
  const rows = rowsOf('docs/reasons.md').map(([name]) => name!).filter(name => /^[\w-]+$/.test(name))
  // A warning of the process is no error.
  t.strictSame(rows.sort(), [...members('SupportReason'), ...members('FallbackReason'), ...errors, 'FST_KTLS_TRACE'].sort())
  t.end()
})
