// Opens a data directory whose process was killed, as the next start would, and compares it with what clients were told (JSON on stdin):
// all that was acknowledged is there, and nothing half. A process of its own, because one that had the store open all the time would not see
// what a new one finds on the disk.
import { createHash } from 'node:crypto'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'

import { openArtifacts } from '../dist/daemon/artifacts/open-artifacts.js'
import { readKeyFile } from '../dist/daemon/signing/key-file.js'
import { openStore } from '../dist/daemon/store/open-store.js'
import { learn } from './soak-told.js'

/** `thorough` reads every byte of every artifact. */
const { directory, told, thorough } = JSON.parse(await text(process.stdin))
const root = join(directory, 'artifacts')
const faults = []
const settled = await check()
process.stdout.write(JSON.stringify({ faults, settled }))

/** Whether the step that nobody was told about was done. */
async function check() {
  const key = await readKeyFile(join(directory, 'key'))
  const store = await openStore({ file: join(directory, 'flexi.db'), key })
  const artifacts = await openArtifacts({ directory: root, freeFloorBytes: 0 })
  const done = told.open !== undefined && happened(store, told.open)
  if (done) learn(told, told.open)
  checkVersions(store)
  checkRest(store)
  for (const folder of ['incoming', 'unpacked/new'])
    expect((await readdir(join(root, folder))).length === 0, `something was left in ${folder}`)
  await checkArchives()
  await checkFolders(artifacts)
  return done
}

function expect(holds, fault) {
  if (!holds) faults.push(fault)
}

function happened(store, what) {
  if (what.step === 'switch') return store.versions.get(what) !== undefined
  if (what.step === 'rollback') return store.aliases.get(what.name, 'live')?.version === what.version
  if (what.step === 'secret') return store.variables.environment(what.name).SECRET === what.value
  if (what.step === 'token') return store.tokens.byHash(`hash of ${what.id}`) !== undefined
  return false
}

/** A version, its audit line and its deployment are one transaction. */
function checkVersions(store) {
  const audited = new Set(store.audit.recent({ limit: 1_000_000 }).map(({ object }) => object))
  const stored = new Map(store.versions.all().map((one) => [`${one.name}@${one.version}`, one]))
  const versions = Object.entries(told.versions)
  expect(store.audit.verify().intact, 'the audit log is broken')
  expect(stored.size === versions.length, `${stored.size} versions, and ${versions.length} were told of`)
  expect(audited.size === versions.length, `${audited.size} audit lines for ${versions.length} versions`)
  for (const [key, { id, digest }] of versions) {
    const version = stored.get(key)
    expect(version?.artifact === digest && version.config.options.id === id, `version ${key} is lost`)
    expect(audited.has(key), `the audit line of ${key} is lost`)
  }
  // The table keeps the last thousand.
  for (const [, { id }] of versions.slice(-900))
    expect(store.deployments.get(id)?.state === 'switched', `deployment ${id} is lost`)
}

function checkRest(store) {
  for (const [name, version] of Object.entries(told.aliases))
    expect(store.aliases.get(name, 'live')?.version === version, `alias ${name} does not lead to ${version}`)
  for (const [name, value] of Object.entries(told.secrets))
    expect(store.variables.environment(name).SECRET === value, `the secret of ${name} is lost`)
  const tokens = new Set(store.tokens.of().map(({ id }) => id))
  for (const id of Object.keys(told.tokens)) expect(tokens.has(id), `token ${id} is lost`)
}

async function checkArchives() {
  for (const digest of Object.keys(told.artifacts)) {
    const file = join(root, 'sha256', digest.slice(0, 2), digest)
    const size = await sizeOf(file)
    expect(size !== undefined, `artifact ${digest} is lost`)
    if (!thorough || size === undefined) continue
    const read = createHash('sha256').update(await readFile(file))
    expect(read.digest('hex') === digest, `artifact ${digest} is damaged`)
  }
}

/** A folder that is there is whole, whether or not anybody was told of it. */
async function checkFolders(artifacts) {
  const shelves = (await readdir(join(root, 'unpacked'))).filter((name) => name !== 'new')
  const folders = (await Promise.all(shelves.map((shelf) => readdir(join(root, 'unpacked', shelf))))).flat()
  for (const digest of Object.keys(told.unpacked))
    expect(folders.includes(digest), `the folder of ${digest} is lost`)
  for (const digest of folders) {
    const folder = await artifacts.unpack(digest)
    const files = told.artifacts[digest]
    expect(files !== undefined, `the folder of ${digest} is there without its artifact`)
    for (const [path, bytes] of Object.entries(files ?? {})) {
      const size = await sizeOf(join(folder, path))
      expect(size === bytes, `${path} of ${digest} has ${size} bytes instead of ${bytes}`)
    }
  }
}

async function sizeOf(file) {
  return await stat(file).then(
    ({ size }) => size,
    () => undefined,
  )
}
