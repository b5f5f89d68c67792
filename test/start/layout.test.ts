/* What a phone and a desk show of the pages and of the README's picture, in light and dark: everything can be read. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import t from 'tap'
import { ROOT } from '../support/node'
import { StartChild } from './child'
import { launchChromium } from './chromium'
import { SCHEMES, WIDTHS, unreadable } from './looks'

/** Names the folder that pictures of all pages are written to, to be looked at. */
const PICTURES = process.env.KTLS_TEST_PICTURES

/** Bound on what a browser waits for, in milliseconds. */
const TIMEOUT = 2 * 60_000

const HEIGHT = 800

/** GitHub's margins around a README on a phone, both together. */
const MARGINS = 32

let browser: Browser
let child: StartChild
let origin: string
t.before(async () => {
  child = new StartChild(t, ['--port', '0'])
  origin = await child.ready()
  browser = await launchChromium()
})
t.teardown(() => browser.close())

/** The same in each width and scheme, one after the other. */
async function everywhere (t: Tap.Test, name: string, show: (page: Page) => Promise<unknown>): Promise<void> {
  for (const width of WIDTHS) {
    for (const colorScheme of SCHEMES) {
      const context = await browser.newContext({ ignoreHTTPSErrors: true, baseURL: origin, viewport: { width, height: HEIGHT }, colorScheme, isMobile: width < 500 })
      const page = await context.newPage()
      page.setDefaultTimeout(TIMEOUT)
      await show(page)
      t.strictSame(await unreadable(page), [], `${width} pixels, ${colorScheme}`)
      if (PICTURES !== undefined) await page.screenshot({ path: join(PICTURES, `${name}-${width}-${colorScheme}.png`), fullPage: true })
      await context.close()
    }
  }
}

t.test('the start page, with a file checked', async t => {
  await everywhere(t, 'start', async page => {
    await page.goto('/')
    await page.getByText('matches, after').waitFor()
  })
})

t.test('the start page, where it knows nothing', async t => {
  await everywhere(t, 'start-trouble', async page => {
    await page.route('/about', route => route.fulfill({ status: 503 }))
    await page.goto('/')
    await page.getByText('answered 503').waitFor()
  })
})

t.test('the dashboard, in the middle of its comparison', async t => {
  await everywhere(t, 'dashboard', async page => {
    await page.goto('/dashboard')
    await page.getByText('where Node does').waitFor()
    for (const mode of ['offload', 'default']) await page.locator(`#busy text.${mode}`).first().waitFor()
  })
})

t.test('the dashboard of an emulated machine, where the server is gone', async t => {
  await everywhere(t, 'dashboard-trouble', async page => {
    await page.route(/\/dashboard\/state/, async route => {
      const answer = await route.fetch()
      await route.fulfill({ json: { ...await answer.json() as object, emulated: true } })
    })
    await page.goto('/dashboard')
    await page.getByText('emulated machine').waitFor()
    await page.route(/\/dashboard\/state/, route => route.abort())
    await page.getByText('does not answer').waitFor()
    await page.locator('.stale').first().waitFor()
  })
})

t.test('the page with the video', async t => {
  const video = readFileSync(join(ROOT, 'examples/video/page.html'), 'utf8')
  await everywhere(t, 'video', async page => {
    await page.route('/video', route => route.fulfill({ contentType: 'text/html', body: video }))
    await page.route('/clip.mp4', route => route.abort())
    await page.goto('/video')
    await page.getByText('The video does not come').waitFor()
  })
})

t.test('the README\'s picture, as wide as GitHub shows it', async t => {
  const svg = readFileSync(join(ROOT, 'bench/results.svg'), 'utf8')
  await everywhere(t, 'picture', async page => {
    await page.setContent(`<!doctype html><meta name="viewport" content="width=device-width"><style>body { margin: ${MARGINS / 2}px } svg { max-width: 100%; height: auto }</style>${svg}`)
    t.ok(await page.locator('svg').isVisible())
  })
})

t.test('what cannot be read is found', async t => {
  const page = await browser.newPage({ viewport: { width: 390, height: HEIGHT } })
  await page.setContent(`<!doctype html><div style="width: 500px">wide</div><p style="color: #ccc; width: 50px">pale</p>
    <div style="width: 40px; overflow: hidden; white-space: nowrap">a long line</div>
    <svg width="200" height="100"><text x="10" y="50">first</text><text x="12" y="55">second</text><text x="150" y="50" font-size="9">tiny</text>
    <text x="180" y="80">beyond</text><polyline points="0,20 100,20" stroke="black"/><text x="10" y="25">struck</text></svg>`)
  const found = (await unreadable(page)).map(problem => problem.replace(/ \([\d.]+\)/, '').replace(/\d+ of \d+/, 'N'))
  t.strictSame(found.sort(), ['clipped: a long line', 'covered by second: first', 'crossed: struck', 'cut off: beyond', 'outside: wide', 'pale: pale', 'scrolls sideways: N', 'small: tiny'])
  await page.close()
})

t.test('it ends', async t => {
  child.signal('SIGTERM')
  t.strictSame(await child.end(), { code: 0, errors: '' })
})
