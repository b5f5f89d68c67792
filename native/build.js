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

const prefix = resolve(process.execPath, '..', '..')
const headers = existsSync(join(prefix, 'include', 'node', 'node_api.h')) ? [`--nodedir=${prefix}`] : []
const { status } = spawnSync(
  process.execPath,
  [require.resolve('node-gyp/bin/node-gyp.js'), 'configure', 'build', '--loglevel=warn', ...headers, ...process.argv.slice(2)],
  { cwd: __dirname, stdio: 'inherit' }
)
process.exit(status ?? 1)
