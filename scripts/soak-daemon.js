// The same with a whole daemon: `node scripts/soak-daemon.js --kills 20`. Deploys a function over the API, kills all of the daemon's processes at
// a random point of that, starts it again, and asks the function which version answers: the last one that was acknowledged, or the one
// that was under way; never none.
import { spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

import { packDirectory } from '../dist/daemon/artifacts/pack-directory.js'

const FLEXI = fileURLToPath(new URL('../bin/run.js', import.meta.url))
const PROGRAM = `
import { createServer } from 'node:http'
createServer((_, response) => response.end('VERSION')).listen(Number(process.env.PORT), '127.0.0.1')`

const { values } = parseArgs({ options: { kills: { type: 'string', default: '20' } } })
const directory = await mkdtemp(join(tmpdir(), 'flexi-soak-daemon-'))
const data = join(directory, 'data')
let daemon
daemon = await start()
let acknowledged = await deploy(0)
let deployMs = 1000
const cut = { done: 0, undone: 0, after: 0 }

for (let kill = 1; kill <= Number(values.kills); kill++) {
  const began = Date.now()
  const dying = new Promise((resolve) => setTimeout(resolve, randomInt(Math.ceil(deployMs * 1.3)))).then(
    killAll,
  )
  const told = await deploy(kill).catch(() => undefined)
  if (told !== undefined) {
    acknowledged = kill
    deployMs = Date.now() - began
  }
  await dying
  daemon = await start()
  const answer = await ask('/', { host: 'soak.localhost' })
  const holds = answer === String(acknowledged) || (told === undefined && answer === String(kill))
  if (told !== undefined) cut.after++
  else if (answer === String(kill)) cut.done++
  else cut.undone++
  if (!holds)
    throw new Error(`kill ${kill}: version ${acknowledged} was acknowledged, and ${answer} answers (${data})`)
  acknowledged = Number(answer)
}

await killAll()
await rm(directory, { recursive: true, force: true })
print(
  `${values.kills} kills: ${cut.undone} before the switch, ${cut.done} after it and before the answer, ${cut.after} later`,
)
print('nothing acknowledged was lost')

/** Resolves when it answers. */
async function start() {
  const options = ['daemon', 'start', '--data-dir', data, '--port', '0', '--sandbox', 'none']
  const child = spawn(process.execPath, [FLEXI, ...options], { stdio: ['ignore', 'pipe', 'pipe'] })
  child.stderr.setEncoding('utf8')
  let printed = ''
  child.stderr.on('data', (part) => (printed += part))
  const lines = createInterface({ input: child.stdout })
  lines.on('line', (line) => (printed += `${line}\n`))
  const ended = new Promise((resolve) => child.once('exit', resolve))
  for (;;) {
    const note = await readFile(join(data, 'run/daemon.json'), 'utf8').then(JSON.parse, () => undefined)
    if (note?.pid === child.pid) {
      const root = /root token: (\S+)/.exec(printed)?.[1] ?? daemon?.token
      if (root !== undefined) return { ...note, token: root, ended }
    }
    if (child.exitCode !== null) throw new Error(`the daemon does not start: ${printed}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

async function killAll() {
  for (const pid of [daemon.pid, daemon.serverPid])
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // The one went with the other.
    }
  await daemon.ended
}

/** Resolves when the deployment was acknowledged. */
async function deploy(version) {
  const source = join(directory, 'source')
  await mkdir(source, { recursive: true })
  await writeFile(join(source, 'serve.mjs'), PROGRAM.replace('VERSION', String(version)))
  const file = join(directory, 'a.tar.gz')
  const { digest } = await packDirectory(source, file)
  const archive = await readFile(file)
  await ask(`/api/artifacts/${digest}`, { method: 'PUT', type: 'application/gzip', body: archive })
  const options = { command: process.execPath, args: ['serve.mjs'] }
  const part = { name: 'soak', artifact: digest, config: { provider: 'process', options } }
  const body = JSON.stringify({ project: 'soak', parts: [part] })
  const events = await ask('/api/deployments', { method: 'POST', type: 'application/json', body })
  if (!events.includes('"event":"done"')) throw new Error(events)
  return version
}

async function ask(path, { method = 'GET', host = 'localhost', type, body } = {}) {
  const { port } = new URL(daemon.url)
  const fields = {
    host,
    authorization: `Bearer ${daemon.token}`,
    ...(type === undefined ? {} : { 'content-type': type }),
  }
  const response = await new Promise((resolve, reject) => {
    request({ host: '127.0.0.1', port, path, method, headers: fields }, resolve).on('error', reject).end(body)
  })
  const answer = await text(response)
  if (response.statusCode >= 400) throw new Error(`${method} ${path}: ${response.statusCode} ${answer}`)
  return answer
}

function print(line) {
  process.stdout.write(`${line}\n`)
}
