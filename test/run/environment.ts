/** What a process has around it that runs tests below one of tap's: its own bound is the one of .taprc. */
export const ENVIRONMENT: NodeJS.ProcessEnv = { ...process.env, TAP: '1', TAP_TIMEOUT: '1800' }

/** With the sender threads as the backend under test. */
export const BY_THREADS: NodeJS.ProcessEnv = { ...ENVIRONMENT, KTLS_TEST_BACKEND: 'threads' }

/** Over plain HTTP. */
export const PLAIN: NodeJS.ProcessEnv = { ...ENVIRONMENT, KTLS_TEST_BACKEND: 'plain' }
