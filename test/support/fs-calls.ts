import fs from 'node:fs'

/** Counts from now on how often a function of `fs` is called, by Node's own streams too. */
export function countCalls (t: Pick<Tap.Test, 'teardown'>, name: 'open' | 'read'): () => number {
  const { [name]: original } = fs
  t.teardown(() => { Object.assign(fs, { [name]: original }) })
  let calls = 0
  Object.assign(fs, {
    [name]: (...args: unknown[]) => {
      calls++
      Reflect.apply(original, fs, args)
    }
  })
  return () => calls
}
