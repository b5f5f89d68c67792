import { parseArgs } from 'node:util'

/** By an option's name: whether it has a value (`string`) or not, and its letter. */
export type KnownOptions = Readonly<Record<string, { readonly type: 'boolean' | 'string', readonly short?: string }>>

/** What was given of each; the last one counts where one comes twice. */
export type Values<T extends KnownOptions> = { readonly [name in keyof T]: T[name]['type'] extends 'boolean' ? boolean : string | undefined }

/** What is wrong with the arguments, in one line. */
export class WrongArguments extends Error {}

/** Throws `WrongArguments`, whose message is one line where those of `parseArgs` are up to three. */
export function parseArguments<T extends KnownOptions> (args: readonly string[], known: T): { readonly values: Values<T>, readonly positionals: readonly string[] } {
  const { tokens } = parseArgs({ args: [...args], options: known, strict: false, allowPositionals: true, tokens: true })
  const values = new Map<string, boolean | string>()
  for (const [name, { type }] of Object.entries(known)) if (type === 'boolean') values.set(name, false)
  const positionals: string[] = []
  for (const token of tokens) {
    if (token.kind === 'positional') positionals.push(token.value)
    if (token.kind !== 'option') continue
    const { name, rawName, value } = token
    if (!Object.hasOwn(known, name)) throw new WrongArguments(`the option ${rawName} is not known`)
    const needsValue = known[name]!.type === 'string'
    if (needsValue && (value === undefined || value === '')) throw new WrongArguments(`${rawName} needs a value`)
    if (!needsValue && value !== undefined) throw new WrongArguments(`${rawName} takes no value, and has "${value}"`)
    values.set(name, value ?? true)
  }
  return { values: Object.fromEntries(values) as Values<T>, positionals }
}
