// npm run soak: kills a process of the daemon's store and artifacts again and again, at random points of deployments, and looks each time
// whether all it had acknowledged is there. Two to ten minutes. `--kills 1000`, `--directory DIR` (kept), else a temporary one.
import { spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

import { learn, nothingTold } from './soak-told.js'

const WORKER = fileURLToPath(new URL('soak-worker.js', import.meta.url))
const CHECK = fileURLToPath(new URL('soak-check.js', import.meta.url))
/** Every so many kills, a directory that was never there before is killed while it is made. */
const FRESH_EVERY = 20
/** Every so many, all bytes are read, and a new directory is begun: looking at one takes longer the more is in it. */
const DIRECTORY_KILLS = 100

const { values } = parseArgs({
  options: { kills: { type: 'string', default: '1000' }, directory: { type: 'string' } },
})
const kills = Number(values.kills)
const directory = values.directory ?? (await mkdtemp(join(tmpdir(), 'flexi-soak-')))
let told = nothingTold()
const total = { acknowledged: 0, cut: 0, settled: 0, early: 0 }
const began = Date.now()
let failed = false

for (let kill = 1; kill <= kills && !failed; kill++) {
  const fresh = kill % FRESH_EVERY === 7
  const place = join(directory, fresh ? `fresh-${kill}` : `data-${Math.ceil(kill / DIRECTORY_KILLS)}`)
  const last = kill % DIRECTORY_KILLS === 0 || kill === kills
  const model = fresh ? nothingTold() : told
  // From the start of the process, so that opening is hit too; or in the middle of work.
  await killOnce({ place, run: `r${kill}`, model, early: fresh || randomInt(10) === 0 })
  await mkdir(place, { recursive: true })
  const { faults, settled } = await check(place, model, { thorough: last })
  if (settled) total.settled++
  if (fresh) await rm(place, { recursive: true, force: true })
  failed ||= faults.length > 0
  for (const fault of faults) print(`kill ${kill}: ${fault}`)
  if (!last) continue
  if (!failed) await rm(place, { recursive: true, force: true })
  told = nothingTold()
  print(summary(kill))
}

print(failed ? `FAILED; the directory is ${directory}` : `${summary(kills)}: nothing acknowledged was lost`)
if (!failed && values.directory === undefined) await rm(directory, { recursive: true, force: true })
process.exitCode = failed ? 1 : 0

function summary(done) {
  const { acknowledged, cut, settled, early } = total
  const seconds = Math.round((Date.now() - began) / 1000)
  return `${done} kills in ${seconds} s, ${early} of them while it started; ${acknowledged} steps acknowledged; ${cut} cut off, ${settled} of these were done`
}

/** Starts a process, listens to it, and kills it a random time after its start or its first step. */
async function killOnce({ place, run, model, early }) {
  const child = spawn(process.execPath, [WORKER, place, run], { stdio: ['ignore', 'pipe', 'inherit'] })
  const closed = new Promise((resolve) => child.once('close', (code, signal) => resolve({ code, signal })))
  const killIn = (ms) => setTimeout(() => child.kill('SIGKILL'), ms)
  if (early) killIn(randomInt(250))
  const started = await listen(child, model, () => early || killIn(randomInt(400)))
  const { signal, code } = await closed
  if (signal !== 'SIGKILL') {
    failed = true
    print(`the process ended by itself: ${code ?? signal}`)
  }
  if (model.open !== undefined) total.cut++
  if (!started) total.early++
}

/** Until the process ends. Whether it had started by then. */
async function listen(child, model, onReady) {
  let started = false
  for await (const line of createInterface({ input: child.stdout })) {
    const said = JSON.parse(line)
    if (said.ready === true) {
      started = true
      onReady()
    }
    if (said.begin !== undefined) model.open = said.begin
    if (said.done === undefined) continue
    learn(model, said.done)
    total.acknowledged++
  }
  return started
}

/** Whether the step that was cut off was done counts from now on. */
async function check(place, model, { thorough }) {
  const child = spawn(process.execPath, [CHECK], { stdio: ['pipe', 'pipe', 'inherit'] })
  child.stdin.end(JSON.stringify({ directory: place, told: model, thorough }))
  const answer = JSON.parse(await text(child.stdout))
  if (answer.settled) learn(model, model.open)
  model.open = undefined
  return answer
}

function print(line) {
  process.stdout.write(`${line}\n`)
}
