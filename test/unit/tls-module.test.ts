import t from 'tap'
import { moduleState } from '../../lib/machine/tls-module'
import type { ModuleSigns } from '../../lib/machine/tls-module'

t.test('the module', async t => {
  const none: ModuleSigns = { ulps: 'mptcp\n', config: null, modules: null, isThere: () => true }
  const modules = 'kernel/net/tls/tls.ko.xz: kernel/net/core.ko.xz\nkernel/net/other.ko:\n'
  const cases: ReadonlyArray<[string, Partial<ModuleSigns>, string]> = [
    ['nothing is known', { ulps: null }, 'unknown'],
    ['not loaded, and nothing else is known', {}, 'unknown'],
    ['loaded', { ulps: 'espintcp mptcp tls\n' }, 'loaded'],
    ['loaded, whatever the configuration says', { ulps: 'tls\n', config: '# CONFIG_TLS is not set\n' }, 'loaded'],
    ['not built', { config: '# CONFIG_TLS is not set\n', modules }, 'not-built'],
    ['another option of a similar name', { config: 'CONFIG_TLS_DEVICE=y\n' }, 'not-built'],
    ['built as a module', { config: 'CONFIG_TLS=m\n' }, 'unknown'],
    ['on disk', { config: 'CONFIG_TLS=m\n', modules }, 'on-disk'],
    ['listed, and its file is gone', { modules, isThere: () => false }, 'not-on-disk'],
    ['not listed', { modules: 'kernel/net/mytls/tls.ko.bak\nkernel/net/other.ko: kernel/net/tls/tls.ko\n' }, 'not-on-disk']
  ]
  for (const [what, signs, expected] of cases) t.equal(moduleState({ ...none, ...signs }), expected, what)
})
