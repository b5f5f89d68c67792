import { readFile } from 'node:fs/promises'
import type { Browser } from 'playwright-core'
import type { Mode } from '../../examples/dashboard/watch'
import type { Stats } from '../../types/index'
import { sha256 } from '../support/files'

/** Names the file that a picture of the page is written to. */
const PICTURE = process.env.KTLS_TEST_PICTURE

/** Bound on what a browser waits for while the guest encrypts, in milliseconds. */
const TIMEOUT = 5 * 60_000

/** Samples under load that are compared: ten seconds of them. */
const COMPARED = 40

/** The dashboard in a browser, served by a kernel with kernel TLS. `sum` is the SHA-256 of 10MB.bin. */
export async function useDashboard (t: Tap.Test, browser: Browser, origin: string, sum: string): Promise<void> {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 1280, height: 800 } })
  const page = await context.newPage()
  page.setDefaultTimeout(TIMEOUT)
  const errors: Error[] = []
  page.on('pageerror', error => { errors.push(error) })
  await page.goto(`${origin}/dashboard`)
  const stats = () => page.evaluate('fetch("/dashboard/state").then(response => response.json()).then(({ stats }) => stats)') as Promise<Stats>
  const rows = (url: string) => page.locator(`[data-url="${url}"]`)
  const promoted = async () => (await stats()).kernel!.promoted.software

  await page.getByText('(this page)').first().waitFor()
  t.ok(await page.getByText('The server runs in an emulated machine').isVisible())
  await page.getByRole('button', { name: 'Load', pressed: true }).waitFor()
  t.ok(await page.locator('[value=turns]').isChecked(), 'it starts with each way in turn')
  await rows('/default/100MB.bin').first().waitFor()
  await page.locator('label', { hasText: 'Kernel' }).click()
  await page.getByRole('button', { name: 'Load' }).click()

  await t.test('a download of the browser goes by the kernel', async (t: Tap.Test) => {
    const before = await promoted()
    const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'Download' }).click()])
    t.equal(sha256(await readFile(await download.path())), sum)
    t.ok(await promoted() > before, 'the kernel has got a connection')
    const row = page.locator('#connections tr', { hasText: 'kernel' }).first()
    await row.waitFor()
    t.ok((await stats()).bytes.file.kernel >= 10e6)
  })

  await t.test('with the switch on default, the load is encrypted by OpenSSL and says why', async (t: Tap.Test) => {
    await page.locator('label', { hasText: 'Default' }).click()
    await page.getByRole('button', { name: 'Load' }).click()
    await rows('/default/100MB.bin').filter({ hasText: 'route-opted-out' }).first().waitFor()
    t.match(await rows('/default/100MB.bin').first().innerText(), /TLSv1\.3 TLS_\w+\s+OpenSSL\s+\S+\s+node \(route-opted-out\)/)
    const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'Download' }).click()])
    t.equal(sha256(await readFile(await download.path())), sum)
  })

  await t.test('with the switch on kernel, its connections are the kernel\'s, and the event loop calms down', async (t: Tap.Test) => {
    const busy = page.locator('#compared tr', { hasText: 'busy' })
    const enough = (mode: Mode) => page.waitForFunction(`document.querySelector('td.${mode}').dataset.samples >= ${COMPARED}`)
    const shown = async (mode: Mode) => parseInt(await busy.locator(`.${mode}`).innerText())
    await enough('default')
    await page.locator('label', { hasText: 'Kernel' }).click()
    await rows('/files/100MB.bin').filter({ hasText: 'kernel' }).nth(7).waitFor()
    t.match(await rows('/files/100MB.bin').first().innerText(), /kernel\s+\S+\s+file/)
    await enough('offload')
    if (PICTURE !== undefined) await page.screenshot({ path: PICTURE })
    const [without, by] = [await shown('default'), await shown('offload')]
    t.ok(by < without / 2, `the loop is busy for ${by} % of the time, and was for ${without} %`)
    await page.getByRole('button', { name: 'Load' }).click()
    await rows('/files/100MB.bin').first().waitFor({ state: 'detached' })
  })
  t.same(errors, [])
  await context.close()
}
