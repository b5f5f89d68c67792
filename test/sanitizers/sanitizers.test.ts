import t from 'tap'
import { sanitize } from './sanitize'

for (const sanitizer of ['address', 'undefined', 'thread'] as const) {
  t.test(`no report of the ${sanitizer} sanitizer`, () => sanitize(sanitizer))
}
