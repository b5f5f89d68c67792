import t from 'tap'
import { sanitize } from './sanitize'

t.test('no report of the address and undefined behaviour sanitizers', () => sanitize('address', 'undefined'))
