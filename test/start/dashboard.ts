import { readFile } from 'node:fs/promises'
import type { Browser } from 'playwright-core'
import type { Stats } from '../../types/index'
import { sha256 } from '../support/files'

/** Names the file that a picture of the page is written to. */
const PICTURE = process.env.KTLS_TEST_PICTURE

/** Bound on what a browser waits for while the guest encrypts, in milliseconds. */
const TIMEOUT = 5 * 60_000

/** Samples under load that are compared, of each way: ten seconds of them, in two turns. */
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

  const choose = (name: string) => page.locator('fieldset label', { hasText: name }).click()
  const download = async () => {
    const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'Download' }).click()])
    return sha256(await readFile(await download.path()))
  }

  await t.test('it begins with the comparison: by default OpenSSL is busy in the event loop, by the kernel the loop is calm', async (t: Tap.Test) => {
    await page.getByRole('button', { name: 'Load', pressed: true }).waitFor()
    t.ok(await page.locator('[value=turns]').isChecked(), 'each way in turn')
    t.ok(await page.getByText('The server runs in an emulated machine').isVisible())
    await rows('/default/100MB.bin').filter({ hasText: /TLSv1\.3 TLS_\w+OpenSSL\S+node \(route-opted-out\)/ }).nth(7).waitFor()
    await rows('/files/100MB.bin').filter({ hasText: /kernel\/files\/100MB\.binfile/ }).nth(7).waitFor()
    for (const mode of ['default', 'offload']) await page.waitForFunction(`document.querySelector('td.${mode}').dataset.samples >= ${COMPARED}`)
    if (PICTURE !== undefined) await page.screenshot({ path: PICTURE })
    const busy = page.locator('#compared tr', { hasText: 'busy' })
    const [without, by] = [parseFloat(await busy.locator('.default').innerText()), parseFloat(await busy.locator('.offload').innerText())]
    t.ok(by < without / 2, `the loop is busy for ${by} % of the time, and was for ${without} %`)
    await page.getByRole('button', { name: 'Load' }).click()
    await rows('/files/100MB.bin').or(rows('/default/100MB.bin')).first().waitFor({ state: 'detached' })
  })

  await t.test('a download of the browser goes by the way that is chosen', async (t: Tap.Test) => {
    await choose('Default')
    await page.locator('#download[href="/default/10MB.bin"]').waitFor()
    t.equal(await download(), sum)
    const before = await promoted()
    await choose('Kernel')
    await page.locator('#download[href="/files/10MB.bin"]').waitFor()
    t.equal(await download(), sum)
    t.ok(await promoted() > before, 'the kernel has got a connection')
    await page.locator('#connections tr', { hasText: 'kernel' }).first().waitFor()
    t.ok((await stats()).bytes.file.kernel >= 10e6)
  })
  t.same(errors, [])
  await context.close()
}
