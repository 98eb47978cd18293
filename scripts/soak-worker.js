// Does to a data directory what deployments do, step by step, until somebody kills it. Before each step a line on stdout says what is begun,
// after it one says that it is done: what a client would have been told.
import { randomBytes, randomInt } from 'node:crypto'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { createReadStream, writeSync } from 'node:fs'
import { join } from 'node:path'

import { openArtifacts } from '../dist/daemon/artifacts/open-artifacts.js'
import { packDirectory } from '../dist/daemon/artifacts/pack-directory.js'
import { readKeyFile } from '../dist/daemon/signing/key-file.js'
import { openStore } from '../dist/daemon/store/open-store.js'

const [, , directory, run] = process.argv
await mkdir(directory, { recursive: true })
const store = await openStore({
  file: join(directory, 'flexi.db'),
  key: await readKeyFile(join(directory, 'key')),
})
const artifacts = await openArtifacts({
  directory: join(directory, 'artifacts'),
  freeFloorBytes: 0,
  userQuotaBytes: 2 ** 50,
})
const who = { user: 'soak', token: 't', from: 'local' }
say({ ready: true })
for (let turn = 1; ; turn++) await deploy(`${run}-${turn}`)

/** An upload, and what the store is told until the next one: versions of five functions, secrets, tokens, rollbacks, a clean-up. */
async function deploy(id) {
  const { digest, file, files } = await archive(id)
  const received = { step: 'artifact', digest, files }
  await step(received, () => artifacts.receive(createReadStream(file), { user: 'soak', expected: digest }))
  await rm(file)
  await step({ step: 'unpack', digest, files }, () => artifacts.unpack(digest))
  for (let n = 1; n <= 10; n++) await register(`${id}-${n}`, digest)
  if (randomInt(4) === 0) await step({ step: 'collect' }, () => artifacts.collect(store.versions.artifacts()))
}

async function register(id, digest) {
  const name = `f${randomInt(5)}`
  const version = `v${id}`
  await step({ step: 'switch', id, name, version, digest }, () => switchTo({ id, name, version, digest }))
  const value = randomBytes(12).toString('hex')
  await step({ step: 'secret', name, value }, () =>
    store.variables.set({
      function: name,
      name: 'SECRET',
      secret: true,
      value,
      setAt: Date.now(),
      setBy: 'soak',
    }),
  )
  await step({ step: 'token', id }, () =>
    store.tokens.add({ id, user: 'soak', label: id, hash: `hash of ${id}`, createdAt: Date.now() }),
  )
  if (randomInt(3) === 0) await rollback(name)
}

/** All of it in one transaction, as the control plane does. */
function switchTo({ id, name, version, digest }) {
  const at = Date.now()
  store.transaction(() => {
    if (store.functions.get(name) === undefined)
      store.functions.add({ name, createdAt: at, createdBy: 'soak' })
    const made = { createdAt: at, createdBy: 'soak', wanted: 'running' }
    store.versions.add({
      name,
      version,
      artifact: digest,
      config: { provider: 'process', options: { id } },
      ...made,
    })
    store.aliases.set({ function: name, alias: 'live', version, movedAt: at, movedBy: 'soak' })
    store.deployments.put({
      id,
      project: 'soak',
      alias: 'live',
      state: 'switched',
      keys: [{ name, version }],
      startedAt: at,
      by: 'soak',
    })
    store.audit.add({
      at,
      ...who,
      action: 'deploy',
      object: `${name}@${version}`,
      outcome: 'done',
      detail: { digest },
    })
  })
}

async function rollback(name) {
  const [before] = store.aliases.history(name, 'live')
  if (before === undefined) return
  await step({ step: 'rollback', name, version: before.version }, () =>
    store.aliases.set({
      function: name,
      alias: 'live',
      version: before.version,
      movedAt: Date.now(),
      movedBy: 'soak',
    }),
  )
}

/** A few files of a few sizes, packed. */
async function archive(id) {
  const folder = join(directory, `source-${process.pid}`)
  await rm(folder, { recursive: true, force: true })
  await mkdir(join(folder, 'sub'), { recursive: true })
  const files = { id: Buffer.byteLength(id) }
  await writeFile(join(folder, 'id'), id)
  for (let n = 0; n < 5; n++) {
    const path = n % 2 === 0 ? `sub/${n}` : String(n)
    files[path] = randomInt(n === 4 ? 100_000 : 5000)
    await writeFile(join(folder, path), randomBytes(files[path]))
  }
  const file = `${folder}.tar.gz`
  const { digest } = await packDirectory(folder, file)
  return { digest, file, files }
}

async function step(what, task) {
  say({ begin: what })
  await task()
  say({ done: what })
}

/** At once: what is in a pipe when the writer is killed still reaches the reader. */
function say(line) {
  writeSync(1, `${JSON.stringify(line)}\n`)
}
