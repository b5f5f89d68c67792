import { splitDetail } from '../findings'
import type { Support } from '../../../types/index'
import { VERSION } from '../version'
import { compare } from './compare'
import type { Comparison, ContenderName, Result, Unavailable } from './comparison'
import { sizeOf, temporaryFile } from './file'
import { rate } from './figures'
import type { Progress } from './progress'
import type { Time } from './time'

/** In the order in which they are shown. */
const NAMES: readonly ContenderName[] = ['default', 'kernel', 'threads']

/** The part of the time that a file may take to be written. */
const WRITING = 0.5

/**
 * Compares Fastify's default with the backends of this machine, within the time. `given` is
 * the file; without one, 100 MB are made. Rejects with `WrongArguments` where it cannot be
 * measured with.
 */
export async function bench (given: string | undefined, support: Support, time: Time, progress: Progress): Promise<Comparison> {
  if (given === undefined) progress.step('writing 100 MB to the working directory')
  const file = given ?? await temporaryFile(time.part(WRITING))
  const size = sizeOf(file)
  const names = NAMES.filter(name => name === 'default' || support.backends.includes(name))
  const { figures, ...session } = await compare(file, names, time, progress)
  const contenders = NAMES.map((name): Result => {
    const measured = figures.get(name)
    return measured === undefined
      ? { name, figures: null, unavailable: unavailable(support) }
      : { name, figures: rate(measured, size), unavailable: null }
  })
  return { version: VERSION, file, size, seconds: time.seconds, ...session, contenders }
}

/** Only kernel TLS can be missing where another backend is there. */
function unavailable ({ reason, detail }: Support): Unavailable {
  const { cause, remedy = null } = splitDetail(detail!)
  return { reason: reason!, text: cause, remedy }
}
