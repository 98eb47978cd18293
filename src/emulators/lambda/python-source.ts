import { execFile } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { buildError } from '../../build/bundle.ts'
import { errorMessage, FlexiError } from '../../core/errors.ts'
import type { AbsolutePath, Fault } from '../../core/place.ts'
import type { Definition } from './definition.ts'
import { findProgram, isExecutable } from './find-program.ts'
import { missingHandler } from './handler-fault.ts'
import { findHandlerFile } from './handler-file.ts'
import { installationOf } from './programs/installation.ts'
import type { Program } from './programs/program.ts'
import { warnOfVersion } from './programs/version-of.ts'

const run = promisify(execFile)

/** What ships beside the package's code: what runs in Python itself. */
const FOLDER = join(dirname(fileURLToPath(import.meta.url)), '../../../runtimes/python')
const CHECK_MS = 10_000

/** A handler in Python, checked and ready to be run by the bootstrap of ours. */
export async function preparePython(definition: Definition): Promise<Program> {
  const { options, taskRoot } = definition
  const handler = findHandlerFile(options.handler, taskRoot, true)
  if (handler === undefined) throw missingHandler(definition)
  const { executable, version, files, faults } = await checkWithFirst(
    interpreters(definition),
    definition,
    handler.file,
  )
  if (faults.length > 0) throw buildError(faults)
  const { runtime } = options
  if (runtime !== undefined && !`python${version}.`.startsWith(`${runtime}.`))
    warnOfVersion(definition, runtime, `python ${version}`)
  return {
    runtime: runtime ?? `python${version.split('.', 2).join('.')}`,
    version,
    command: executable,
    args: [join(FOLDER, 'bootstrap.py')],
    readable: [FOLDER, ...installationOf(executable)],
    inputs: files,
    environment: {},
    handler: handlerName(options.handler),
    waitsToLoad: true,
  }
}

/** `app.py` means the function `handler` of `app`. */
function handlerName(handler: string): string {
  return handler.endsWith('.py') ? `${handler.slice(0, -3)}.handler` : handler
}

/** A virtual environment of the function wins, then the version its runtime names, then any Python 3. */
function interpreters({ options, taskRoot, scope }: Definition): readonly string[] {
  // The check runs with our rights: of a function that is kept apart, nothing is run here.
  const own = scope.confinement === undefined ? [join(taskRoot, '.venv'), join(taskRoot, 'venv')] : []
  const folders = [...own, process.env['VIRTUAL_ENV'] ?? '']
  const environments = folders.map((folder) => join(folder, 'bin', 'python')).filter(isExecutable)
  const names = options.runtime === undefined ? ['python3'] : [...closest(options.runtime), 'python3']
  const programs = names.map((name) => findProgram([name], process.env['PATH']))
  return [...environments, ...programs.filter((program) => program !== undefined)]
}

const MINORS = Array.from({ length: 12 }, (_, index) => index + 8)

/** `python3.12` → python3.12, python3.13, python3.11, python3.14 … */
function closest(runtime: string): string[] {
  const wanted = Number(/\.(\d+)$/.exec(runtime)?.[1])
  if (Number.isNaN(wanted)) return [runtime]
  return MINORS.toSorted((one, other) => distance(one, wanted) - distance(other, wanted)).map(
    (minor) => `python3.${minor}`,
  )
}

/** Of two that are equally far the newer one is nearer. */
function distance(minor: number, wanted: number): number {
  return Math.abs(minor - wanted) - (minor > wanted ? 0.5 : 0)
}

/** A name in PATH may be a script for a Python that is not there: then the next is asked. @throws FlexiError FLEXI_TOOL_MISSING. */
async function checkWithFirst(
  candidates: readonly string[],
  { taskRoot, name }: Definition,
  file: string,
): Promise<Checked> {
  let failure: unknown
  for (const candidate of candidates) {
    try {
      return await check(candidate, taskRoot, file)
    } catch (error) {
      failure = error
    }
  }
  const why = failure === undefined ? 'which is not in PATH' : `which does not run: ${errorMessage(failure)}`
  throw new FlexiError('FLEXI_TOOL_MISSING', `${name} needs python3, ${why}`, {
    hint: 'Install Python 3: "apt install python3", "brew install python" or python.org/downloads.',
    ...(failure === undefined ? {} : { cause: failure }),
  })
}

interface Checked {
  readonly executable: string
  readonly version: string
  readonly files: readonly AbsolutePath[]
  readonly faults: readonly Fault[]
}

interface Report {
  readonly executable: string
  readonly version: string
  readonly files: readonly AbsolutePath[]
  readonly faults: readonly { file: string; line: number; column: number; message: string; text: string }[]
}

/** What the interpreters found in PATH really are. */
const executables = new Map<string, string>()

async function check(interpreter: string, taskRoot: string, file: string): Promise<Checked> {
  const script = join(FOLDER, 'check.py')
  const known = executables.get(interpreter) ?? interpreter
  // -B: no bytecode beside our own files; -I: nothing of the user's is imported; -S: no packages are looked for.
  const { stdout } = await run(known, ['-B', '-I', '-S', script, taskRoot, file], { timeout: CHECK_MS })
  const report = JSON.parse(stdout) as Report
  // A virtual environment is found by the name it was started with, which its own interpreter tells truly.
  const resolved = report.executable === '' ? interpreter : report.executable
  executables.set(interpreter, resolved)
  const faults = report.faults.map(({ file: path, line, column, message, text }) => ({
    place: { file: path, line, column },
    message,
    ...(text === '' ? {} : { text }),
  }))
  return { executable: resolved, version: report.version, files: report.files, faults }
}
