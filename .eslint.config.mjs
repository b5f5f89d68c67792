import neostandard from 'neostandard'

export default neostandard({ ts: true, filesTs: ['**/*.mts'], ignores: ['**/build/', 'dist/', '.tap/'] })
