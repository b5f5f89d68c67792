/* Of the start page and the dashboard. */
/* global document */

/** Milliseconds between a question that the server did not answer and the next one. */
export const RETRY = 1000

export const find = selector => document.querySelector(selector)

export const element = (name, text = '', className = '') => Object.assign(document.createElement(name), { textContent: text, className })

export const wait = milliseconds => new Promise(resolve => { setTimeout(resolve, milliseconds) })

/** Three digits, or all of those before the point. */
export function figure (value) {
  return value.toFixed(value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2)
}

/** Bytes, in decimal units. */
export function size (bytes) {
  if (bytes < 1000) return `${bytes} B`
  let value = bytes / 1000
  let unit = 0
  for (; value >= 999.5 && unit < 3; unit++) value /= 1000
  return `${figure(value)} ${['kB', 'MB', 'GB', 'TB'][unit]}`
}

/** There was no answer, or not all of one. */
export class NoAnswer extends Error {
  constructor (cause) {
    super('The server does not answer.', { cause })
  }
}

/** A response of the server. Throws an error whose message says what happened, for whoever looks at the page. */
export async function get (url, options) {
  const response = await fetch(url, { cache: 'no-store', ...options }).catch(error => { throw new NoAnswer(error) })
  if (response.ok) return response
  const { message = '' } = await response.json().catch(() => ({}))
  throw new Error(`${url.split('?')[0]} answered ${response.status}${message && ': '}${message}.`)
}
