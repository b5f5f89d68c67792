/*
 * Import this first: the library then gets the addon with the host double of
 * the kernel (kernel_double.cc) where it asks for the real one. Both come from
 * `node native/build.js --tests=1`.
 */
import { join } from 'node:path'

const release = join(__dirname, '../../../native/build/Release')
const real = require.resolve(join(release, 'fastify_ktls.node'))
const double = require.resolve(join(release, 'fastify_ktls_double.node'))

require(double)
require.cache[real] = require.cache[double]
