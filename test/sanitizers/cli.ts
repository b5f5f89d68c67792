/* node dist/test/sanitizers/cli.js address|undefined|thread */
import { sanitize } from './sanitize'
import type { Sanitizer } from './sanitize'

sanitize(process.argv[2] as Sanitizer).then(
  () => { console.log('no report') },
  (error: Error) => {
    console.error(error.message)
    process.exitCode = 1
  }
)
