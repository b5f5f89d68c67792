/* What the pages show when the server goes, or cannot say how it is, and how they go on when it is back. */
import type { Browser, Page } from 'playwright-core'
import t from 'tap'
import { StartChild } from './child'
import { launchChromium } from './chromium'
import { freePort } from './free-port'

/** Bound on what a browser waits for, in milliseconds. */
const TIMEOUT = 2 * 60_000

let browser: Browser
let port: number
const errors: Error[] = []
t.before(async () => {
  port = await freePort()
  browser = await launchChromium()
})
t.teardown(() => browser.close())

async function start (t: Tap.Test): Promise<StartChild> {
  const child = new StartChild(t, ['--port', String(port)])
  await child.ready()
  return child
}

async function open (t: Tap.Test, path: string): Promise<Page> {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, baseURL: `https://localhost:${port}` })
  t.teardown(() => context.close())
  const page = await context.newPage()
  page.setDefaultTimeout(TIMEOUT)
  page.on('pageerror', error => { errors.push(error) })
  await page.goto(path)
  return page
}

const GONE = 'The server does not answer. It is asked again each second.'

t.test('the server goes and comes back: both pages say so, and go on', async t => {
  const first = await start(t)
  const [startPage, dashboard] = [await open(t, '/'), await open(t, '/dashboard')]
  const row = startPage.locator('[data-file="1MB.bin"]')
  await startPage.getByText('matches, after').waitFor()
  // By itself, as nobody has chosen.
  await dashboard.getByRole('button', { name: 'Load', pressed: true }).waitFor()

  first.signal('SIGTERM')
  t.match(await first.end(), { errors: '' })
  await dashboard.getByRole('alert').getByText(GONE).waitFor()
  t.equal(await dashboard.locator('section.stale').count(), 4)
  await startPage.getByRole('alert').getByText(GONE).waitFor()
  await row.getByRole('button', { name: 'Check' }).click()
  await row.getByText(GONE).waitFor()
  await dashboard.locator('label', { hasText: 'Default' }).click()
  await dashboard.getByText('Not changed: The server does not answer.').waitFor()

  const second = await start(t)
  await row.getByText('matches, after').waitFor()
  await startPage.getByRole('alert').waitFor({ state: 'hidden' })
  await dashboard.getByRole('alert').waitFor({ state: 'hidden' })
  t.equal(await dashboard.locator('section.stale').count(), 0)
  await t.resolves(dashboard.getByRole('button', { name: 'Load', pressed: true }).waitFor(), 'the comparison begins anew')
  second.signal('SIGTERM')
  t.match(await second.end(), { errors: '' })
})

t.test('stats() that fails is named, until it does not', async t => {
  const child = await start(t)
  const page = await open(t, '/dashboard')
  await page.getByText('(this page)').waitFor()
  const broken = await page.context().newPage()
  await broken.route(/\/dashboard\/state/, route => route.fulfill({ status: 500, json: { message: 'no counters' } }), { times: 2 })
  await broken.goto('/dashboard')
  await broken.getByRole('alert').getByText('/dashboard/state answered 500: no counters. It is asked again each second.').waitFor()
  await broken.getByRole('alert').waitFor({ state: 'hidden' })
  await t.resolves(broken.getByText('(this page)').waitFor())
  child.signal('SIGTERM')
  t.match(await child.end(), { errors: '' })
})

t.test('no page had an error that it did not catch', async t => {
  t.strictSame(errors, [])
})
