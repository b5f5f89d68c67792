import { readFile } from 'node:fs/promises'
import t from 'tap'
import { sha256 } from '../support/files'
import { StartChild } from './child'
import { launchChromium } from './chromium'
import { useDashboard } from './dashboard'
import { fetchBytes, parseSums } from './download'
import { freePort } from './free-port'
import { qemuForwarding } from './qemu-of'

/** Bound on what a browser waits for while the guest encrypts 100 MB, in milliseconds. */
const BROWSER_TIMEOUT = 5 * 60_000

// The first start on a machine downloads the guest.
t.setTimeout(25 * 60_000)

t.test('npm start -- --guest serves by a kernel, to curl and to a browser', async t => {
  const child = new StartChild(t, ['--guest', '--port', String(await freePort())])
  const origin = await child.ready()
  const { port } = new URL(origin)
  const fetchPath = (path: string) => fetchBytes(`${origin}${path}`, child.certificate)
  const sums = parseSums((await fetchPath('/files/SHA256SUMS')).toString())

  await t.test('it says whose kernel encrypts', async t => {
    t.match(await child.line(/^Large files/), /^Large files are encrypted by the kernel of the guest, Linux \d/)
    t.match(child.lines.find(line => line.startsWith('Why: ')), /--guest/)
  })

  await t.test('curl, which trusts only the certificate named, gets the page and a large file by the kernel', async t => {
    t.match((await fetchPath('/')).toString(), /<title>fastify-ktls<\/title>/)
    t.equal(sha256(await fetchPath('/files/10MB.bin')), sums.get('10MB.bin'))
    t.match(await child.line(/^GET \/files\/10MB\.bin /), /^GET \/files\/10MB\.bin +200 +10,000,000 bytes +file by kernel +[\d,]+ ms$/)
    t.match(await child.line(/^GET \/ /), /node \(too-small\)/)
  })

  await t.test('Chromium shows the page, checks a large file and downloads one', async t => {
    const browser = await launchChromium()
    t.teardown(() => browser.close())
    const page = await browser.newPage({ ignoreHTTPSErrors: true })
    page.setDefaultTimeout(BROWSER_TIMEOUT)
    const errors: Error[] = []
    page.on('pageerror', error => { errors.push(error) })
    await page.goto(origin)
    const row = page.locator('[data-file="100MB.bin"]')
    await row.getByRole('button', { name: 'Check' }).click()
    await row.getByText('matches, after').waitFor()
    t.match(await row.innerText(), /✓ matches.*It was taken from the file and encrypted by the kernel, .*TLSv1\.3/s)
    t.match(await child.line(/^GET \/files\/100MB\.bin\?check=/), / 200 +100,000,000 bytes +file by kernel /)
    t.match(await page.locator('#page').innerText(), /^This page itself was written by Node/)

    const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: /^10MB\.bin/ }).click()])
    t.equal(download.suggestedFilename(), '10MB.bin')
    t.equal(sha256(await readFile(await download.path())), sums.get('10MB.bin'))
    t.same(errors, [])
  })

  await t.test('the dashboard', async t => {
    const browser = await launchChromium()
    t.teardown(() => browser.close())
    await useDashboard(t, browser, origin, sums.get('10MB.bin')!)
  })

  await t.test('Ctrl-C ends it with exit code 0, and the guest with it', async t => {
    t.equal(qemuForwarding(port).length, 1)
    child.signalGroup('SIGINT')
    t.same(await child.end(), { code: 0, errors: '' })
    t.same(qemuForwarding(port), [])
  })
})

t.test('SIGTERM while the guest starts ends both', async t => {
  const port = String(await freePort())
  const child = new StartChild(t, ['--guest', '--port', port])
  await child.line(/^the guest is up/)
  t.equal(qemuForwarding(port).length, 1)
  child.signal('SIGTERM')
  t.same(await child.end(), { code: 0, errors: '' })
  t.same(qemuForwarding(port), [])
})
