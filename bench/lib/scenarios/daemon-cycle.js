import { createHash, randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import { openDaemon } from '../daemon.js'
import { findProgram, projectRoot } from '../places.js'
import { memoryOf } from '../process-tree.js'
import { scratchFolder } from '../scratch.js'
import { percentile } from '../statistics.js'
import { count, milliseconds, ratio } from '../table.js'
import { judge, targetText } from '../verdict.js'

const COLD = { full: 20, quick: 6 }
const IDLE_FUNCTIONS = { full: 500, quick: 100 }
const PARTS = 50
const LARGE_BYTES = 3_000_000
const DEPLOYS = { full: 10, quick: 3 }
/** More than an instance without a request is kept, as they are deployed here. */
const IDLE_PAUSE_MS = 700

/** What a daemon takes for what happens once, not at every request. */
export async function daemonCycle(context) {
  const rows = []
  const data = []
  const row = (what, value, { unit, target, shown }) => {
    const verdict = judge(value, target)
    data.push({ what, value, target, verdict })
    rows.push([what, `${shown(value)} ${unit}`.trim(), targetText(target, unit), verdict])
  }
  const unprotected = await coldStart('none', context)
  row('first request after scale to zero, unprotected', unprotected, { unit: 'ms', shown: milliseconds })
  if (findProgram('bwrap') === undefined)
    context.note('no sandbox is measured: bubblewrap is not on this machine')
  else {
    const confined = await coldStart('bwrap', context)
    row('the same in the sandbox', confined, { unit: 'ms', shown: milliseconds })
    row('sandbox ÷ unprotected', confined / unprotected, { unit: '×', target: { atMost: 1.5 }, shown: ratio })
  }
  const deployMs = await largeDeploy(context)
  row('deployment of 3 MB, from the end of the upload', deployMs, {
    unit: 'ms',
    target: { atMost: 1_000 },
    shown: milliseconds,
  })
  const idle = await idleFunctions(context)
  const many = context.quick ? IDLE_FUNCTIONS.quick : IDLE_FUNCTIONS.full
  row(`start with ${many} idle functions`, idle.startMs, {
    unit: 'ms',
    target: { atMost: 2_000 },
    shown: milliseconds,
  })
  row(`RSS with ${many} idle functions`, idle.rssMb, { unit: 'MB', target: { atMost: 300 }, shown: count })
  return { columns: ['what', 'p50 or value', 'target', 'verdict'], rows, data }
}

/** p50 of the first request after the last instance was ended for idleness. */
async function coldStart(sandbox, { quick, progress }) {
  const daemon = await openDaemon(sandbox)
  try {
    await daemon.start()
    daemon.deploy(appFolder('cold', ''), '--network', 'none', '--idle', '0.3s')
    const times = []
    const rounds = quick ? COLD.quick : COLD.full
    for (let n = 1; n <= rounds; n += 1) {
      progress(`cold start, sandbox ${sandbox}: ${n} of ${rounds}`)
      await sleep(IDLE_PAUSE_MS)
      const { status, ms } = await daemon.get('hello')
      if (status !== 200) throw new Error(`a cold start was answered ${status}`)
      times.push(ms)
    }
    return percentile(times, 0.5)
  } finally {
    await daemon.stop()
    daemon.remove()
  }
}

/** p50 of the time that the daemon takes between the last byte of an artifact and `done`. */
async function largeDeploy({ quick, progress }) {
  const daemon = await openDaemon('none')
  try {
    await daemon.start()
    const times = []
    const rounds = quick ? DEPLOYS.quick : DEPLOYS.full
    for (let n = 1; n <= rounds; n += 1) {
      progress(`deployment of 3 MB: ${n} of ${rounds}`)
      // Bytes that cannot be packed, other ones each time.
      const text = `export const blob = ${JSON.stringify(randomBytes(LARGE_BYTES).toString('base64'))}`
      const { archive, options } = await packed(appFolder(`large-${n}`, text))
      const digest = createHash('sha256').update(archive).digest('hex')
      const uploaded = await daemon.api('PUT', `/api/artifacts/${digest}`, archive)
      if (uploaded.status !== 200)
        throw new Error(`the upload was answered ${uploaded.status} ${uploaded.body}`)
      const part = {
        name: 'hello',
        artifact: digest,
        config: { provider: 'lambda', options, network: 'none' },
      }
      const { body, ms } = await daemon.api('POST', '/api/deployments', {
        project: 'large',
        alias: 'live',
        parts: [part],
      })
      if (!body.includes('"done"')) throw new Error(`the deployment failed: ${body}`)
      times.push(ms)
    }
    return percentile(times, 0.5)
  } finally {
    await daemon.stop()
    daemon.remove()
  }
}

async function idleFunctions({ quick, progress }) {
  const daemon = await openDaemon('none')
  try {
    await daemon.start()
    const { archive, options } = await packed(appFolder('idle', ''))
    const digest = createHash('sha256').update(archive).digest('hex')
    await daemon.api('PUT', `/api/artifacts/${digest}`, archive)
    const many = quick ? IDLE_FUNCTIONS.quick : IDLE_FUNCTIONS.full
    for (let from = 0; from < many; from += PARTS) {
      progress(`${from} of ${many} functions are deployed`)
      const parts = Array.from({ length: Math.min(PARTS, many - from) }, (_, at) => ({
        name: `fn-${from + at}`,
        artifact: digest,
        config: { provider: 'lambda', options, network: 'none', instances: { idleMs: 200 } },
      }))
      const { body } = await daemon.api('POST', '/api/deployments', {
        project: `idle-${from}`,
        alias: 'live',
        parts,
      })
      if (!body.includes('"done"')) throw new Error(`a deployment failed: ${body.slice(-500)}`)
    }
    await daemon.stop()
    const startMs = await daemon.start()
    const { rssMb } = memoryOf(daemon.pid)
    const last = await daemon.get(`fn-${many - 1}`)
    if (last.status !== 200) throw new Error(`an idle function answered ${last.status}`)
    return { startMs, rssMb }
  } finally {
    await daemon.stop()
    daemon.remove()
  }
}

/** A Lambda that says ok, with as much more as `text`. */
function appFolder(name, text) {
  const folder = scratchFolder(`daemon-${name}`)
  mkdirSync(folder, { recursive: true })
  writeFileSync(
    join(folder, 'flexi.jsonc'),
    '{ "functions": { "hello": { "provider": "lambda", "handler": "hello.handler" } } }',
  )
  writeFileSync(join(folder, 'hello.mjs'), `${text}\nexport const handler = async () => 'ok'\n`)
  return folder
}

/** What `flexi deploy` would upload of the one function in a folder. */
async function packed(folder) {
  const { shipProject } = await import(join(projectRoot, 'dist/app/shipping.js'))
  const { packDirectory } = await import(join(projectRoot, 'dist/daemon/artifacts/pack-directory.js'))
  const out = scratchFolder('daemon-out')
  const { functions } = await shipProject({
    directory: folder,
    outDirectory: join(out, 'built'),
    environment: {},
  })
  const [{ directory, options }] = functions
  const file = join(out, 'hello.tar.gz')
  await packDirectory(directory, file)
  return { archive: readFileSync(file), options }
}
