import type { Page } from 'playwright-core'

/** Of a phone and of a desk, in pixels. */
export const WIDTHS = [390, 1280] as const
export const SCHEMES = ['light', 'dark'] as const

/** What WCAG 2.2 (1.4.3) asks of text. */
const CONTRAST = 4.5

/** The least size of letters in a drawing, in pixels as drawn. */
const LETTERS = 11

/**
 * In the page: what cannot be read there. Boxes of letters are higher than what is drawn
 * of them, hence the two pixels.
 */
const UNREADABLE = `() => {
  const found = []
  const say = (what, node) => found.push(what + ': ' + (node.textContent || node.localName).trim().slice(0, 60))
  const room = document.documentElement.clientWidth
  if (document.documentElement.scrollWidth > room) found.push('scrolls sideways: ' + document.documentElement.scrollWidth + ' of ' + room)

  const channels = colour => colour.match(/[\\d.]+/g).map(Number)
  const luminance = colour => {
    const [red, green, blue] = channels(colour).map(value => value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
  }
  const contrast = (one, other) => {
    const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b)
    return (light + 0.05) / (dark + 0.05)
  }
  const groundOf = node => {
    const svg = node.closest('svg')
    const own = svg && svg.querySelector('.ground')
    if (own) return getComputedStyle(own).fill
    for (let at = node; at; at = at.parentElement) {
      const { backgroundColor } = getComputedStyle(at)
      if ((channels(backgroundColor)[3] ?? 1) === 1) return backgroundColor
    }
    return 'rgb(255, 255, 255)'
  }

  for (const node of document.querySelectorAll('body *')) {
    const hasText = [...node.childNodes].some(child => child.nodeType === Node.TEXT_NODE && child.data.trim())
    if (!hasText || !node.checkVisibility() || node.closest('script, style, title, legend, :disabled') || node.matches('label:has(:disabled), label:has(:disabled) *')) continue
    const drawn = node.closest('svg') !== null
    const { left, right } = node.getBoundingClientRect()
    if (left < 0 || right > room) say('outside', node)
    if (!drawn && node.scrollWidth > node.clientWidth + 1 && getComputedStyle(node).overflowX !== 'visible') say('clipped', node)
    const { color, fill } = getComputedStyle(node)
    const against = contrast(drawn ? fill : color, groundOf(node))
    if (against < ${CONTRAST}) say('pale (' + against.toFixed(1) + ')', node)
  }

  const meet = (one, other) => one.left < other.right && other.left < one.right && one.top + 2 < other.bottom && other.top + 2 < one.bottom
  for (const svg of document.querySelectorAll('svg')) {
    const frame = svg.getBoundingClientRect()
    const texts = [...svg.querySelectorAll('text')].map(node => ({ node, box: node.getBoundingClientRect() }))
    for (const [index, { node, box }] of texts.entries()) {
      const size = parseFloat(getComputedStyle(node).fontSize) * node.getScreenCTM().a
      if (size < ${LETTERS}) say('small (' + size.toFixed(1) + ')', node)
      if (box.left < frame.left - 1 || box.right > frame.right + 1 || box.top < frame.top - 2 || box.bottom > frame.bottom + 2) say('cut off', node)
      for (const other of texts.slice(index + 1)) if (meet(box, other.box)) say('covered by ' + other.node.textContent, node)
    }
    for (const line of svg.querySelectorAll('polyline, path, line')) {
      const place = line.getScreenCTM()
      for (let along = 0, length = line.getTotalLength(); along <= length; along += 2) {
        const point = line.getPointAtLength(along).matrixTransform(place)
        const crossed = texts.find(({ box }) => meet(box, { left: point.x, right: point.x + 1, top: point.y, bottom: point.y + 1 }))
        if (crossed !== undefined) { say('crossed', crossed.node); break }
      }
    }
  }
  return found
}`

/** Each thing that cannot be read in the page as it is now, with the words in question. */
export async function unreadable (page: Page): Promise<string[]> {
  return await page.evaluate(`(${UNREADABLE})()`) as string[]
}
