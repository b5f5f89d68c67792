import t from 'tap'
import { cipherOf } from '../../lib/machine/support'

t.test('the name of a cipher, from the standard name of a suite', async t => {
  for (const [suite, cipher] of [
    ['TLS_AES_128_GCM_SHA256', 'aes-128-gcm'],
    ['TLS_AES_256_GCM_SHA384', 'aes-256-gcm'],
    ['TLS_CHACHA20_POLY1305_SHA256', 'chacha20-poly1305'],
    ['TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256', 'aes-128-gcm'],
    ['TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384', 'aes-256-gcm'],
    ['TLS_DHE_RSA_WITH_AES_128_GCM_SHA256', 'aes-128-gcm'],
    ['TLS_RSA_WITH_AES_256_GCM_SHA384', 'aes-256-gcm'],
    ['TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256', 'chacha20-poly1305'],
    ['TLS_AES_128_CCM_SHA256', undefined],
    ['TLS_AES_128_CCM_8_SHA256', undefined],
    ['TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256', undefined],
    ['TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA', undefined],
    ['TLS_ECDHE_RSA_WITH_ARIA_128_GCM_SHA256', undefined],
    ['TLS_ECDHE_RSA_WITH_CAMELLIA_256_CBC_SHA384', undefined]
  ] as const) t.equal(cipherOf(suite), cipher, suite)
})
