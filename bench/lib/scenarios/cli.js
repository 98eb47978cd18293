import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'

import { projectRoot } from '../places.js'
import { track } from '../processes.js'
import { scratchCopy } from '../scratch.js'
import { median } from '../statistics.js'
import { milliseconds, ratio } from '../table.js'
import { judge, targetText } from '../verdict.js'

const RUNS = { full: 20, quick: 6 }
const TARGET = { atMost: 1.5 }
const COMMAND_LIMIT_MS = 10_000
const flexi = join(projectRoot, 'bin', 'run.js')

const ROWS = [
  { name: 'node -e 0', args: ['-e', '0'] },
  { name: 'flexi --help', args: [flexi, '--help'], target: TARGET },
  { name: 'flexi --version', args: [flexi, '--version'], target: TARGET },
  { name: 'flexi events', args: [flexi, 'events'], target: TARGET },
  { name: 'flexi check (one Lambda)', args: [flexi, 'check'] },
]

/** Whole commands, from spawn to exit, one after the other in turn. The first turn is not counted. */
export async function cli(context) {
  if (!existsSync(flexi)) {
    context.note('flexi: skipped, bin/run.js is not there')
    return { columns: ['command'], rows: [], data: [] }
  }
  const runs = context.quick ? RUNS.quick : RUNS.full
  const folder = scratchCopy('cli', join(projectRoot, 'bench', 'apps', 'lambda'))
  const measured = ROWS.map((row) => ({ ...row, times: [], failure: undefined }))
  for (let run = 0; run <= runs; run += 1) {
    context.progress(`run ${run} of ${runs}`)
    for (const row of measured) {
      const { ms, exit } = await timeCommand(row.args, folder)
      if (exit !== 0) row.failure = exit
      if (run > 0) row.times.push(ms)
    }
  }
  return report(measured)
}

function timeCommand(args, cwd) {
  return new Promise((resolve, reject) => {
    const before = performance.now()
    // Its output is read, as by a program that uses it; a terminal is slower in ways that are not flexi's.
    const child = spawn(process.execPath, args, {
      cwd,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: COMMAND_LIMIT_MS,
    })
    const forget = track(child)
    child.stdout.resume()
    child.stderr.resume()
    child.once('error', reject)
    child.once('close', (code, signal) => {
      forget()
      resolve({ ms: performance.now() - before, exit: signal ?? code })
    })
  })
}

function report(measured) {
  const floor = median(measured[0].times)
  const data = []
  const rows = measured.map(({ name, times, target, failure }, at) => {
    const middle = median(times)
    const multiple = at === 0 ? undefined : middle / floor
    const verdict = failure === undefined ? judge(multiple, target) : `failed (${failure})`
    data.push({ command: name, times, median: middle, multiple, target, verdict })
    const cells = [milliseconds(Math.min(...times)), milliseconds(middle), ratio(multiple)]
    return [name, ...cells, targetText(target, '×'), verdict]
  })
  return { columns: ['command', 'min ms', 'median ms', '÷ node -e 0', 'target', 'verdict'], rows, data }
}
