// The double stands in for the kernel: the browser is on the host.
import '../double/install'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { createApp } from '../../examples/video/app'
import { COLUMNS, SECONDS, makeClip } from '../../examples/video/clip'
import { certificate } from '../certificate'
import { makeFolder } from '../support/files'
import { launchChromium } from '../start/chromium'

/** The default below which a body is not offloaded, in bytes. */
const MIN_SIZE = 65536

/** In the page: has the video seek, and counts the squares that are lit in the picture shown then. */
const LIT_AT = `async seconds => {
  const video = document.querySelector('video')
  const seeked = new Promise(resolve => { video.addEventListener('seeked', resolve, { once: true }) })
  video.currentTime = seconds
  await seeked
  const canvas = document.createElement('canvas')
  canvas.width = video.videoWidth
  canvas.height = video.videoHeight
  const context = canvas.getContext('2d')
  context.drawImage(video, 0, 0)
  const side = canvas.width / ${COLUMNS}
  let lit = 0
  for (let y = side / 2; y < canvas.height; y += side) {
    for (let x = side / 2; x < canvas.width; x += side) {
      if (context.getImageData(x, y, 1, 1).data[0] > 128) lit++
    }
  }
  return lit
}`

const PLAY_TO_THE_END = `async () => {
  const video = document.querySelector('video')
  const ended = new Promise(resolve => { video.addEventListener('ended', resolve) })
  await video.play()
  await ended
}`

t.test('a browser plays the video, and shows the right picture wherever it seeks', async t => {
  const root = makeFolder(t)
  writeFileSync(join(root, 'clip.mp4'), makeClip())
  const app = await createApp({ https: await certificate(), root })
  const ranges: Array<{ start: number, size: number, status: number, path: string | null, reason: string | null, finished: boolean }> = []
  app.addHook('onSend', async (request, reply) => {
    const start = /^bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1]
    reply.raw.once('close', () => {
      if (start === undefined) return
      ranges.push({ start: Number(start), size: Number(reply.getHeader('content-length')), status: reply.statusCode, path: request.ktls.path, reason: request.ktls.reason, finished: reply.raw.writableFinished })
    })
  })
  const origin = await app.listen({ host: '127.0.0.1', port: 0 })
  const browser = await launchChromium()
  t.teardown(async () => {
    await browser.close()
    await app.close()
  })

  const page = await browser.newPage({ ignoreHTTPSErrors: true })
  await page.goto(origin)
  await page.waitForFunction('document.querySelector("video").readyState >= HTMLMediaElement.HAVE_CURRENT_DATA && !document.querySelector("video").seeking')
  t.equal(await page.evaluate('document.querySelector("video").duration'), SECONDS)
  for (const seconds of [50, 3, 31, 0]) {
    t.equal(await page.evaluate(`(${LIT_AT})(${seconds + 0.5})`), seconds + 1, `at ${seconds} s`)
  }
  await page.evaluate(`(${LIT_AT})(${SECONDS - 1})`)
  await page.evaluate(`(${PLAY_TO_THE_END})()`)
  await browser.close()
  await app.close()

  t.ok(ranges.some(({ start, path }) => start > 0 && path === 'file'), 'seeking asks for a range, which is offloaded')
  // The browser gives some up before there is a decision, or when there is.
  for (const { start, size, status, path, reason, finished } of ranges.filter(({ path }) => path !== null)) {
    t.equal(status, 206)
    if (reason === 'connection-closed') t.notOk(finished, `given up: ${size} bytes from ${start}`)
    else t.equal(path === 'file', size >= MIN_SIZE, `${size} bytes from ${start}: ${reason}`)
  }
})
