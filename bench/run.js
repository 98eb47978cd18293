// `npm run bench [name…]`: measures flexi beside others on this machine. docs/benchmarks.md says what each number means.
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'

import { describeMachine, machineLine } from './lib/machine.js'
import { peersRoot } from './lib/places.js'
import { killEverything } from './lib/processes.js'
import { markdownReport, textReport } from './lib/report.js'
import { SCENARIOS } from './lib/scenarios/index.js'
import { removeScratch } from './lib/scratch.js'
import { SERVERS } from './lib/servers.js'

const USAGE = `npm run bench -- [options] [name…]

Names    ${Object.keys(SCENARIOS).join(', ')}, all (default: all)
         proxy, native and workers mean all that begin with them

--quick          short rounds, for a look; numbers to keep need the long ones
--install        install the peers that are no dependency of flexi (wrangler, serverless-offline) into bench/peers
--only A,B       these servers alone: ${Object.keys(SERVERS).join(', ')}
--profile FOLDER write V8's CPU profile of flexi's own process there; it slows flexi down
--md FILE        write the tables as Markdown
--json FILE      write every sample as JSON
--help`

const EXIT_USAGE = 2
const EXIT_INTERRUPTED = 130

process.exitCode = await main()

async function main() {
  const options = readOptions()
  if (typeof options === 'number') return options
  if (options.install && !installPeers()) return 1
  process.once('SIGINT', interrupted).once('SIGTERM', interrupted)
  try {
    return await measure(options)
  } finally {
    killEverything()
    removeScratch()
  }
}

async function measure(options) {
  const machine = describeMachine()
  console.log(machineLine(machine))
  if (machine.busy) console.log('This machine is busy with something else: the numbers will show it.')
  const results = []
  for (const name of options.names) {
    const result = await runScenario(name, options)
    console.log(textReport(result))
    results.push(result)
  }
  if (options.md !== undefined) writeFileSync(options.md, markdownReport(machineLine(machine), results))
  if (options.json !== undefined)
    writeFileSync(options.json, `${JSON.stringify({ machine, ...options, results }, undefined, 2)}\n`)
  return results.some((result) => result.broken) ? 1 : 0
}

async function runScenario(name, { quick, only, profile }) {
  const { title, run, notes } = SCENARIOS[name]
  const found = []
  const startedAt = performance.now()
  const context = {
    quick,
    only,
    profile,
    note: (text) => found.push(text),
    progress: (text) => showProgress(`${name}: ${text}`),
  }
  const result = await run(context).catch((error) => {
    found.push(`the measurement itself failed: ${error.stack}`)
    return { columns: ['server'], rows: [], data: [], broken: true }
  })
  showProgress('')
  return {
    name,
    title,
    ...result,
    notes: [...found, ...notes],
    seconds: (performance.now() - startedAt) / 1_000,
  }
}

/** Options as `measure` wants them, or the exit code when there is nothing to measure. */
function readOptions() {
  const parsed = parseOrExplain()
  if (parsed === undefined) return EXIT_USAGE
  const { values, positionals } = parsed
  if (values.help) {
    console.log(USAGE)
    return 0
  }
  const all = positionals.length === 0 || positionals.includes('all')
  const names = all ? Object.keys(SCENARIOS) : positionals.flatMap(scenariosOf)
  const only = values.only?.split(',')
  const unknown = [
    ...names.filter((name) => !(name in SCENARIOS)),
    ...(only ?? []).filter((id) => !(id in SERVERS)),
  ]
  if (unknown.length === 0)
    return { ...values, names, only, profile: values.profile && resolve(values.profile) }
  console.error(`unknown: ${unknown.join(', ')}\n\n${USAGE}`)
  return EXIT_USAGE
}

/** `proxy` is `proxy`, `proxy-latency` and all others of its group. */
function scenariosOf(name) {
  const group = Object.keys(SCENARIOS).filter((each) => each.startsWith(`${name}-`))
  return name in SCENARIOS ? [name, ...group] : [name]
}

function parseOrExplain() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        quick: { type: 'boolean', default: false },
        install: { type: 'boolean', default: false },
        only: { type: 'string' },
        profile: { type: 'string' },
        md: { type: 'string' },
        json: { type: 'string' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
  } catch (error) {
    console.error(`${error.message}\n\n${USAGE}`)
    return undefined
  }
}

function installPeers() {
  const { status } = spawnSync('npm', ['ci', '--prefix', peersRoot], { cwd: peersRoot, stdio: 'inherit' })
  return status === 0
}

function interrupted() {
  killEverything()
  removeScratch()
  process.exit(EXIT_INTERRUPTED)
}

/** One line of a terminal that the next one replaces; nothing for a file. */
function showProgress(text) {
  if (!process.stderr.isTTY) return
  process.stderr.write(`\r\x1b[K${text.slice(0, process.stderr.columns - 1)}`)
}
