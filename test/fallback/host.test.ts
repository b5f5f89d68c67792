import t from 'tap'
import { detect } from '../../lib/machine/support'
import { kernelHasTls } from '../support/ulp'

// The probe may have the kernel load its module.
detect()
if (kernelHasTls()) {
  t.pass('the kernel of this host has kernel TLS: the fallback is tested in the guest with the module withheld')
} else {
  require('../run/no-ktls')
}
