import { byteSize, duration } from './duration.ts'
import { nameColour, type Paint } from './paint.ts'
import { printable, printableOutput } from './printable.ts'

/** A step of a deployment, as its lines show it. */
export interface StepLine {
  readonly paint: Paint
  /** `hello`; undefined for what concerns all functions. */
  readonly name?: string | undefined
  /** `built`, `uploaded`, `starting` … */
  readonly step: string
  readonly note?: string | undefined
}

/** `  hello  uploaded  3.1 MB in 120 ms` */
export function stepLine({ paint, name, step, note }: StepLine): string {
  const shown = name === undefined ? '' : `${paint[nameColour(name)](printable(name))}  `
  return `  ${shown}${step}${note === undefined ? '' : `  ${paint.dim(printable(note))}`}`
}

/** What a function printed while it started; one text may hold several lines. */
export function functionLines(name: string, text: string, paint: Paint): string[] {
  const head = `  ${paint[nameColour(name)](printable(name))} ${paint.dim('│')} `
  const lines = text.replace(/\r?\n$/, '').split(/\r?\n/)
  return lines.map((line) => `${head}${printableOutput(line, paint.isColorSupported)}`)
}

/** `  ↑ hello  1.2 MB of 3.1 MB  39 %` */
export function uploadLine(
  name: string,
  { sentBytes, bytes }: { readonly sentBytes: number; readonly bytes: number },
  paint: Paint,
): string {
  const share = bytes === 0 ? 100 : Math.floor((100 * sentBytes) / bytes)
  const amount = `${byteSize(sentBytes)} of ${byteSize(bytes)}`
  return `  ${paint.cyan('↑')} ${printable(name)}  ${amount}  ${paint.dim(`${share} %`)}`
}

export interface DeployedLines {
  readonly project: string
  readonly alias: string
  readonly daemon: string
  /** Where people find the project, if there is one such place. */
  readonly url?: string | undefined
  readonly durationMs: number
  readonly dryRun: boolean
  readonly functions: readonly {
    readonly name: string
    readonly version: string
    readonly urls: readonly string[]
    readonly changed: boolean
  }[]
}

/** The end of a deployment that went well: what serves now, and where. */
export function deployedLines(deployed: DeployedLines, paint: Paint): string[] {
  const { project, durationMs, functions } = deployed
  const head = `${paint.green('✔')} ${paint.bold(printable(project))} ${outcome(deployed)}  ${paint.dim(duration(durationMs))}`
  const keys = functions.map(({ name, version }) => printable(`${name}@${version}`))
  const width = Math.max(0, ...keys.map((key) => key.length))
  const lines = functions.flatMap(({ urls, changed }, index) => {
    const key = (keys[index] ?? '').padEnd(width)
    const [first = '', ...more] = urls.map((url) => paint.cyan(printable(url)))
    const note = changed ? '' : paint.dim(first === '' ? 'unchanged' : '  unchanged')
    return [`  ${key}  ${first}${note}`.trimEnd(), ...more.map((url) => `  ${' '.repeat(width)}  ${url}`)]
  })
  return [head, ...lines]
}

/** `is live at https://shop.fn.example.com/`, `is deployed as preview at …` */
function outcome({ alias, daemon, url, dryRun }: DeployedLines): string {
  if (dryRun) return `could be deployed to ${daemon}`
  const done = alias === 'live' ? 'is live' : `is deployed as ${printable(alias)}`
  return url === undefined ? done : `${done} at ${printable(url)}`
}
