/*
 * The pages in a browser, served from this machine: what they show of whom encrypts,
 * and when something fails.
 */
import { existsSync, readFileSync } from 'node:fs'
import type { Browser, Page } from 'playwright-core'
import t from 'tap'
import { StartChild } from './child'
import { launchChromium } from './chromium'

/** Bound on what a browser waits for, in milliseconds. */
const TIMEOUT = 2 * 60_000

const KERNEL_TLS = existsSync('/proc/net/tls_stat')

let browser: Browser
let child: StartChild
let origin: string
const errors: Error[] = []
t.before(async () => {
  child = new StartChild(t, ['--port', '0'])
  origin = await child.ready()
  browser = await launchChromium()
})
t.teardown(() => browser.close())

async function open (t: Tap.Test, path: string, prepare: (page: Page) => Promise<unknown> = async () => {}): Promise<Page> {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, baseURL: origin })
  t.teardown(() => context.close())
  const page = await context.newPage()
  page.setDefaultTimeout(TIMEOUT)
  page.on('pageerror', error => { errors.push(error) })
  await prepare(page)
  // Somebody has chosen, so that no load begins by itself.
  await context.request.patch('/dashboard/settings', { data: { load: false } })
  await page.goto(path)
  return page
}

t.test('the start page with a query says how it came', async t => {
  const page = await open(t, '/?x')
  await t.resolves(page.getByText('This page itself was written by Node').waitFor())
})

t.test('the start page says what helps, and who says more', async t => {
  const page = await open(t, '/')
  await page.getByText('This page itself was').waitFor()
  t.match(await page.locator('#detail').innerText(), KERNEL_TLS ? /^$/ : /^Linux \S+: .+; .+ \(npx fastify-ktls says more\)\.$/)
})

t.test('the start page says why it knows nothing, and asks again until it does', async t => {
  const page = await open(t, '/', page => page.route('/about', route => route.fulfill({ status: 503, json: { message: 'not now' } }), { times: 2 }))
  await page.getByRole('alert').getByText('/about answered 503: not now. It is asked again each second.').waitFor()
  await page.getByText('This page itself was').waitFor()
  await t.resolves(page.getByRole('alert').waitFor({ state: 'hidden' }))
})

t.test('the start page says who encrypted a file, of one without a click', async t => {
  const page = await open(t, '/')
  const row = page.locator('[data-file="10MB.bin"]')
  await row.getByText(/matches, after [\d.]+ m?s: [\d.]+ .B\/s/).waitFor()
  t.match(await row.innerText(), new RegExp(`It was taken from the file and encrypted by ${KERNEL_TLS ? 'the kernel' : 'sender threads'}, past the event loop; TLSv1\\.3`))
  const other = page.locator('[data-file="1MB.bin"]')
  t.match(await other.innerText(), 'not checked yet')
  await other.getByRole('button', { name: 'Check' }).click()
  await t.resolves(other.getByText('matches, after').waitFor())
})

t.test('the dashboard starts with what this machine can do', async t => {
  const page = await open(t, '/dashboard')
  await page.locator('[value=turns]:checked').waitFor({ state: 'attached' })
  await page.getByText(KERNEL_TLS ? /^Linux \S+ can encrypt files$/ : /^Linux \S+ cannot, sender threads encrypt files: /).waitFor()
  await page.getByRole('radio', { name: KERNEL_TLS ? 'Kernel' : 'Sender threads' }).waitFor({ state: 'attached' })

  const patch = async (body: object) => await page.evaluate(`fetch('/dashboard/settings', {
    method: 'PATCH', headers: { 'content-type': 'application/json' }, body: '${JSON.stringify(body)}'
  }).then(async response => ({ status: response.status, body: await response.json() }))`) as { status: number, body: object }
  t.equal((await patch({ choice: 'kernel' })).status, 400)
  const settings = (choice: string, mode: string) => ({ status: 200, body: { choice, load: false, mode, begun: true, turnLeft: null } })
  t.strictSame(await patch({ choice: 'default', other: 1 }), settings('default', 'default'))
  t.strictSame(await patch({ choice: 'offload' }), settings('offload', 'offload'))
})

t.test('the dashboard shows who has a connection, and the bytes of each', async t => {
  const page = await open(t, '/dashboard')
  const who = KERNEL_TLS ? 'kernel' : 'sender threads'
  await page.getByRole('button', { name: 'Load' }).click()
  await page.locator('[data-url="/files/100MB.bin"]').filter({ hasText: `${who}/files/100MB.binfile` }).first().waitFor()
  await page.locator('#paths .row', { hasText: `file file to ${who}` }).filter({ hasText: /[1-9]\d* MB$/ }).waitFor()
  await page.getByRole('button', { name: 'Load' }).click()
  await page.getByRole('button', { name: 'Load', pressed: false }).waitFor()
  t.same(errors, [])
})

t.test('what went wrong with a change stays until one goes well', async t => {
  const page = await open(t, '/dashboard')
  await page.route('/dashboard/settings', route => route.fulfill({ status: 503 }), { times: 1 })
  const load = page.getByRole('button', { name: 'Load' })
  const trouble = page.getByRole('alert')
  await load.click()
  await trouble.getByText('/dashboard/settings answered 503').waitFor()
  for (let refresh = 0; refresh < 2; refresh++) await page.waitForResponse(/\/dashboard\/state/)
  t.match(await trouble.innerText(), 'answered 503')
  await load.click()
  await t.resolves(trouble.waitFor({ state: 'hidden' }))
  // For the next test.
  await load.click()
  await page.getByRole('button', { name: 'Load', pressed: false }).waitFor()
})

t.test('a load whose process has died is off', async t => {
  const page = await open(t, '/dashboard')
  const [off, on] = [false, true].map(pressed => page.getByRole('button', { name: 'Load', pressed }))
  await off!.click()
  await on!.waitFor()
  const clients = childrenOf(child.pid).filter(pid => readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('load-clients'))
  t.equal(clients.length, 1)
  process.kill(clients[0]!, 'SIGKILL')
  await t.resolves(off!.waitFor())
})

t.test('a page that outlives the server begins anew', async t => {
  const page = await open(t, '/dashboard')
  const state = (after: RegExp) => page.waitForRequest(request => after.test(new URL(request.url()).search))
  await state(/^\?after=\d/)
  const anew = state(/^\?after=-1$/)
  await page.route(/\/dashboard\/state/, async route => {
    const answer = await route.fetch()
    await route.fulfill({ json: { ...await answer.json() as object, taken: 0, samples: [] } })
  }, { times: 1 })
  await t.resolves(anew)
  await t.resolves(state(/^\?after=\d/))
})

t.test('it ends, and no page had an error that it did not catch', async t => {
  t.same(errors, [])
  child.signal('SIGTERM')
  t.strictSame(await child.end(), { code: 0, errors: '' })
})

function childrenOf (pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').split(' ').filter(Boolean).map(Number)
}
