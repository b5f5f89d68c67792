/* Runs all tests for a kernel without kernel TLS (`*.no-ktls.js`), in one process: starting one takes an emulated processor half a minute. */
import { pathsOf } from './files'

for (const path of pathsOf('no-ktls').values()) require(path)
