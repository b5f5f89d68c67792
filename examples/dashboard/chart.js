/* The dashboard's charts. */
/* global document */

/** Milliseconds between two samples. */
export const PERIOD = 250

/** Of samples: a minute, and where there is little room, half of one. */
export const SHOWN = 240
const SHOWN_WHERE_NARROW = 120
const NARROW = 520
/** Of a chart, in pixels, so that its letters are as large as they say; above its lines are the labels of the modes. */
const [TOP, LEFT, BOTTOM] = [20, 36, 22]
/** As wide as one of a label is at most. */
const LETTER = 9

const shape = (name, attributes, text = '') => {
  const made = document.createElementNS('http://www.w3.org/2000/svg', name)
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value)
  made.textContent = text
  return made
}

/** The last samples; `of` is what of each, on a scale to `least` or more; `labels` are the modes' names. */
export function showChart (chart, samples, of, least, labels) {
  const { clientWidth: width, clientHeight: height } = chart
  const count = width < NARROW ? SHOWN_WHERE_NARROW : SHOWN
  const shown = samples.slice(-count)
  const first = samples.at(-1).number - count + 1
  const most = Math.max(...shown.map(of), least)
  const step = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500].find(step => most / step <= 4) ?? Math.ceil(most / 4)
  const top = Math.ceil(most / step) * step
  const x = number => LEFT + (number - first) / (count - 1) * (width - LEFT)
  const y = value => TOP + (height - TOP - BOTTOM) * (1 - value / top)
  const parts = []
  for (let value = 0; value <= top; value += step) {
    parts.push(shape('line', { class: 'grid', x1: LEFT, x2: width, y1: y(value), y2: y(value) }), shape('text', { x: LEFT - 6, y: y(value) + 4, 'text-anchor': 'end' }, String(value)))
  }
  for (let ago = 0; ago < count; ago += 10_000 / PERIOD) {
    parts.push(shape('text', { x: x(first + count - 1 - ago), y: height - 3, 'text-anchor': ago === 0 ? 'end' : 'middle' }, ago === 0 ? 'now' : `−${ago * PERIOD / 1000} s`))
  }
  for (let begin = 0; begin < shown.length;) {
    const { mode } = shown[begin]
    let end = begin
    while (end + 1 < shown.length && shown[end + 1].mode === mode) end++
    const from = x(shown[begin].number)
    const to = x(shown[Math.min(end + 1, shown.length - 1)].number)
    const run = shown.slice(Math.max(begin - 1, 0), end + 1)
    const label = labels[mode]
    parts.push(
      shape('rect', { class: 'band', x: from, y: TOP, width: Math.max(to - from, 0), height: height - TOP - BOTTOM, fill: `var(--${mode})` }),
      shape('polyline', { class: 'line', stroke: `var(--${mode})`, points: run.map(sample => `${x(sample.number)},${y(of(sample))}`).join(' ') })
    )
    if (to - from > label.length * LETTER) parts.push(shape('text', { class: mode, x: from, y: TOP - 6 }, label))
    begin = end + 1
  }
  chart.setAttribute('viewBox', `0 0 ${width} ${height}`)
  chart.replaceChildren(...parts)
}
