import t from 'tap'
import { distributionOf } from '../../lib/doctor/facts'

t.test('the distribution', async t => {
  for (const [text, name] of [
    [null, null],
    ['ID=arch\n', null],
    ['NAME="Debian"\nPRETTY_NAME="Debian GNU/Linux 13 (trixie)"\n', 'Debian GNU/Linux 13 (trixie)'],
    ['PRETTY_NAME=Alpine\nID=alpine\n', 'Alpine']
  ] as const) t.equal(distributionOf(text), name)
})
