import { makeCertificate } from './certificate'
import type { Comparison, ContenderName } from './comparison'
import { Contender } from './contender'
import type { Session } from './contender'
import { readThrough } from './file'
import { addFigures } from './figures'
import type { Figures } from './figures'
import { measure } from './measure'
import type { Progress } from './progress'
import { OutOfTime } from './time'
import type { Time } from './time'
import { TITLES } from './titles'
import { verify } from './verify'

/** Each contender is measured so often, in turns, for a machine's speed drifts. */
const TURNS = 2

/** Milliseconds: in less, few files are downloaded. */
const LEAST_TURN = 100

/** Of the time that is left: to read the file once, and for each contender to compare what it sends. */
const [READING, VERIFYING] = [0.15, 0.1]

export interface Measured extends Pick<Comparison, 'protocol' | 'cipher'> {
  readonly figures: ReadonlyMap<ContenderName, Figures>
}

/**
 * Downloads `file` over and over in the time that is left, in turns from each contender.
 * Rejects where the file cannot be read, a server cannot start, a body is not the file's,
 * or the time is too short for all that.
 */
export async function compare (file: string, names: readonly ContenderName[], time: Time, progress: Progress): Promise<Measured> {
  const certificate = makeCertificate()
  progress.step('starting the servers')
  const contenders = names.map(name => new Contender({ name, certificate, file }))
  try {
    await Promise.all(contenders.map(contender => contender.start()))
    progress.step('reading the file')
    await readThrough(file, time.part(READING))
    let session: Session | undefined
    for (const contender of contenders) {
      progress.step(`${TITLES[contender.name]}: comparing what it sends with the file`)
      session = await verify(contender, file, time.part(VERIFYING))
    }
    return { ...session!, figures: await measureInTurns(contenders, time, progress) }
  } finally {
    for (const contender of contenders) contender.stop()
  }
}

async function measureInTurns (contenders: readonly Contender[], time: Time, progress: Progress): Promise<ReadonlyMap<ContenderName, Figures>> {
  const order = Array.from({ length: TURNS }, () => contenders).flat()
  const figures = new Map<ContenderName, Figures>()
  for (const [index, contender] of order.entries()) {
    const { name } = contender
    const turn = time.left / (order.length - index)
    if (turn < LEAST_TURN) throw new OutOfTime('all were measured')
    progress.step(`${TITLES[name]}: turn ${Math.floor(index / contenders.length) + 1} of ${TURNS}`)
    const before = figures.get(name)
    const now = await measure(contender, turn)
    figures.set(name, addFigures(before === undefined ? [now] : [before, now]))
  }
  for (const [name, { bytes }] of figures) if (bytes === 0) throw new OutOfTime(`${TITLES[name]} had sent anything`)
  return figures
}
