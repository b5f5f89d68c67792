import { join } from 'node:path'
import { buildAll } from './build'

// Makes native/prebuilds: npm run addons
buildAll(join(__dirname, '../../..'), message => console.log(message)).catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
})
