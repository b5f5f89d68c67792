import t from 'tap'
import { sanitize } from './sanitize'

// A file of its own, to run beside the other's: they are among the last, and take minutes.
t.test('no report of the thread sanitizer', () => sanitize('thread'))
