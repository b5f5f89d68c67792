/*
 * Import this first: the library then gets the addon with the host double of
 * the kernel (kernel_double.cc) where it asks for the real one. All come from
 * `node native/build.js --tests=1`. KTLS_TEST_ADDON names another one.
 */
import { join } from 'node:path'

const release = join(__dirname, '../../../native/build/Release')
const real = require.resolve(join(release, 'fastify_ktls.node'))
const other = require.resolve(join(release, `${process.env.KTLS_TEST_ADDON ?? 'fastify_ktls_double'}.node`))

require(other)
require.cache[real] = require.cache[other]
