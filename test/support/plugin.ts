import type fastifyKtls from '../../types/index'

/** The built plugin, with the types that its users see. */
export const ktls = require('../../lib/index') as typeof fastifyKtls
