/*
 * The kernel tests of key updates once more, as on a kernel that can rekey;
 * over the double of node-versions.test.ts it cannot.
 */
process.env.KTLS_TEST_DOUBLE = '1'
process.env.KTLS_DOUBLE_REKEY = '1'
require('./install')
require('../kernel/keys')
