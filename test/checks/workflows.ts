import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { build } from 'esbuild'
import { parse } from 'yaml'
import { ROOT } from '../support/node'
import type { validate as Validate } from '@actions/languageservice/validate' with { 'resolution-mode': 'import' }
import type { TextDocument as Documents } from 'vscode-languageserver-textdocument' with { 'resolution-mode': 'import' }

export interface Step { readonly uses?: string, readonly run?: string }

export interface Job {
  readonly uses?: string
  readonly permissions?: object
  readonly strategy?: { readonly matrix?: Readonly<Record<string, ReadonlyArray<string | number>>> }
  readonly steps?: readonly Step[]
  readonly 'timeout-minutes'?: number
}

export interface Workflow {
  /** As GitHub names it: its path in the repository. */
  readonly path: string
  readonly text: string
  readonly permissions: object
  readonly jobs: Readonly<Record<string, Job>>
}

const FOLDER = '.github/workflows'

export function readWorkflows (): Workflow[] {
  return readdirSync(join(ROOT, FOLDER)).map(name => {
    const path = `${FOLDER}/${name}`
    const text = readFileSync(join(ROOT, path), 'utf8')
    return { ...parse(text) as Omit<Workflow, 'path' | 'text'>, path, text }
  })
}

/** The scripts of a job, once for each value of each part of its matrix that they name. */
export function scriptsOf (job: Job): string[] {
  const matrix = Object.entries(job.strategy?.matrix ?? {})
  const written = (job.steps ?? []).flatMap(({ run }) => run === undefined ? [] : [run])
  return matrix.reduce((scripts, [name, values]) => scripts.flatMap(script => {
    const expression = `\${{ matrix.${name} }}`
    return script.includes(expression) ? values.map(value => script.replaceAll(expression, String(value))) : [script]
  }), written)
}

/** What GitHub's own language service finds in a workflow: `line: message`. */
export type Validator = (workflow: { readonly path: string, readonly text: string }) => Promise<string[]>

/** Bundled, since its modules import JSON in a way that Node does not take. */
export async function loadValidator (): Promise<Validator> {
  const folder = mkdtempSync(join(tmpdir(), 'fastify-ktls-workflows-'))
  try {
    const outfile = join(folder, 'service.cjs')
    const contents = "export { validate } from '@actions/languageservice/validate'; export { TextDocument } from 'vscode-languageserver-textdocument'"
    await build({ stdin: { contents, resolveDir: ROOT }, bundle: true, platform: 'node', outfile, logLevel: 'error' })
    const { validate, TextDocument } = require(outfile) as { validate: typeof Validate, TextDocument: typeof Documents }
    const fileProvider = {
      // Of a workflow that calls another.
      getFileContent: async (file: object) => {
        const path = 'path' in file ? String(file.path) : ''
        return { name: basename(path), content: readFileSync(join(ROOT, path), 'utf8') }
      }
    }
    return async ({ path, text }) => {
      const found = await validate(TextDocument.create(`file:///${path}`, 'yaml', 0, text), { fileProvider })
      return found.map(({ range, message }) => `${range.start.line + 1}: ${typeof message === 'string' ? message : message.value}`)
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}
