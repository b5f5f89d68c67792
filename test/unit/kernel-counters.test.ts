import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { kernelCounters, parseCounters } from '../../lib/observe/kernel-counters'
import { makeFolder } from '../support/files'

const LINUX_6_12 = `TlsCurrTxSw                     \t1
TlsCurrRxSw                     \t2
TlsCurrTxDevice                 \t3
TlsCurrRxDevice                 \t4
TlsTxSw                         \t50
TlsRxSw                         \t60
TlsTxDevice                     \t70
TlsRxDevice                     \t80
TlsDecryptError                 \t9
TlsRxDeviceResync               \t10
TlsDecryptRetry                 \t11
TlsRxNoPadViolation             \t12
`

const LINUX_6_14 = `${LINUX_6_12}TlsRxRekeyOk                    \t13
TlsRxRekeyError                 \t14
TlsTxRekeyOk                    \t15
TlsTxRekeyError                 \t16
TlsRxRekeyReceived              \t17
`

t.test('the rows of the transmit side', async t => {
  const rows = { open: { software: 1, device: 3 }, promoted: { software: 50, device: 70 } }
  t.strictSame(parseCounters(LINUX_6_12), { ...rows, keys: { updated: 0, failed: 0 } })
  t.strictSame(parseCounters(LINUX_6_14), { ...rows, keys: { updated: 15, failed: 16 } })
})

t.test('from a file, null without one', async t => {
  const path = join(makeFolder(t), 'tls_stat')
  t.equal(kernelCounters(path), null)
  writeFileSync(path, LINUX_6_14)
  t.strictSame(kernelCounters(path), parseCounters(LINUX_6_14))
})
