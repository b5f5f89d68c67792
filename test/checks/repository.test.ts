/* What GitHub reads of the repository, and whether its documents name what is there. */
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import { ROOT } from '../support/node'

/** What a checkout has beside the project's own files. */
const OTHERS = /^(\.git|\.tap|dist|node_modules|native\/(build|prebuilds))(\/|$)|\.(tgz|log)$/

const files = filesBelow('')
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8')

function filesBelow (folder: string): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap(entry => {
    const path = join(folder, entry.name)
    if (OTHERS.test(path)) return []
    return entry.isDirectory() ? filesBelow(path) : [path]
  })
}

t.test("every place with a stand-in for the owner's name is listed", async t => {
  // Not spelled out, so that replacing it everywhere leaves this test as it is.
  const standIn = /\bOWNE[R]\b/
  const list = '.github/RELEASING.md'
  const [, section = ''] = read(list).split("## The owner's name\n")
  const listed = [...section.split('\n## ')[0]!.matchAll(/^- `(.+?)`/gm)].map(([, path]) => path!)
  const found = files.filter(path => path !== list && !/\.(png|mp4)$/.test(path) && standIn.test(read(path)))
  t.strictSame(listed.sort(), found.sort())
})

t.test('links between documents lead somewhere', async t => {
  for (const path of files.filter(path => path.endsWith('.md'))) {
    // In code it is no link.
    const text = read(path).replace(/^```[^]*?^```/gm, '').replace(/`[^`]*`/g, '')
    for (const [, target] of text.matchAll(/\]\((?!https?:|#)([^)#\s]+)(?:#[^)]*)?\)/g)) {
      t.ok(existsSync(join(ROOT, dirname(path), target!)), `${path}: ${target}`)
    }
  }
})

t.test('CONTRIBUTING says what each folder is', async t => {
  const text = read('.github/CONTRIBUTING.md')
  for (const parent of ['lib', 'native']) {
    const folders = readdirSync(join(ROOT, parent), { withFileTypes: true }).filter(entry => entry.isDirectory() && !OTHERS.test(`${parent}/${entry.name}`))
    for (const { name } of folders) t.ok(text.includes(`\n| \`${parent}/${name}/\` |`), `${parent}/${name}`)
  }
})

t.test('forms for issues', async t => {
  interface Part { type: string, id?: string, attributes: { label?: string, value?: string } }
  const folder = '.github/ISSUE_TEMPLATE'
  const forms = readdirSync(join(ROOT, folder)).filter(name => name !== 'config.yml')
  t.strictSame(forms.sort(), ['bug.yml', 'feature.yml'])
  for (const name of forms) {
    const { name: title, description, body } = parse(read(join(folder, name))) as { name: string, description: string, body: Part[] }
    t.ok(title && description, `${name} has what a form needs`)
    for (const { type, attributes: { label, value } } of body) t.ok(type === 'markdown' ? value : /^(textarea|input|dropdown|checkboxes)$/.test(type) && label, `${name}: ${type}`)
    const ids = body.flatMap(({ id }) => id ?? [])
    t.equal(new Set(ids).size, ids.length, `${name}: each answer has a name of its own`)
  }
  for (const asked of ['npx fastify-ktls`', 'node --version', 'stats()', 'security/advisories/new']) t.ok(read(join(folder, 'bug.yml')).includes(asked), asked)
})

t.test('Dependabot looks after what there is', async t => {
  const { updates } = parse(read('.github/dependabot.yml')) as { updates: Array<{ 'package-ecosystem': string, directory: string, groups: object, ignore?: Array<{ 'dependency-name': string }> }> }
  t.strictSame(updates.map(update => [update['package-ecosystem'], update.directory]), [['npm', '/'], ['github-actions', '/']])
  const { dependencies, devDependencies } = JSON.parse(read('package.json')) as Record<string, Record<string, string>>
  for (const { 'dependency-name': name } of updates.flatMap(({ ignore }) => ignore ?? [])) t.ok(name in { ...dependencies, ...devDependencies }, name)
})

t.test('CODEOWNERS has an owner for all', async t => {
  t.match(read('.github/CODEOWNERS'), /^\* @\S+$/m)
})
