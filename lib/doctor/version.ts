/** Of this package. The path is that from dist/lib/doctor. */
export const { version: VERSION } = require('../../../package.json') as { readonly version: string }
