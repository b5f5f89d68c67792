'use strict'

// Builds the addon in place. node-gyp would download headers; the ones that
// most distributions of Node carry beside the binary do as well.

const { existsSync } = require('node:fs')
const { join, resolve } = require('node:path')
const { spawnSync } = require('node:child_process')

if (process.platform !== 'linux') {
  console.log('fastify-ktls: kernel TLS is a Linux feature; the addon is not built on ' + process.platform)
  process.exit(0)
}

const gyp = find('node-gyp/bin/node-gyp.js')
// binding.gyp asks for it.
if (gyp === undefined || find('node-addon-api') === undefined) {
  console.error('fastify-ktls: first: npm install --save-dev node-gyp node-addon-api')
  process.exit(1)
}

const prefix = resolve(process.execPath, '..', '..')
const headers = existsSync(join(prefix, 'include', 'node', 'node_api.h')) ? [`--nodedir=${prefix}`] : []
const { status } = spawnSync(
  process.execPath,
  [gyp, 'configure', 'build', '--loglevel=warn', ...headers, ...process.argv.slice(2)],
  { cwd: __dirname, stdio: 'inherit' }
)
process.exit(status ?? 1)

function find (module) {
  try {
    return require.resolve(module)
  } catch {
    return undefined
  }
}
