/**
 * Puts the plugin into every Fastify instance that the process makes after this is loaded, with
 * the default options: `node --require fastify-ktls/register app.js`, or `--import` in its place.
 * Where the application registers the plugin by itself, that registration holds, with its
 * options and errors, and nothing else is done in that instance.
 *
 * It exports nothing and throws nothing. Instances of another major version than Fastify 5 are
 * left alone, with a line in their log.
 */
import './index'

export {}
