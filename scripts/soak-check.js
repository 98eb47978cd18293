// What must be in a data directory after its process was killed: all that was acknowledged, and nothing half.
import { createHash } from 'node:crypto'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'

import { openArtifacts } from '../dist/daemon/artifacts/open-artifacts.js'
import { readKeyFile } from '../dist/daemon/signing/key-file.js'
import { openStore } from '../dist/daemon/store/open-store.js'

/** What clients were told, and what each of them was still waiting for when the process died. */
export class Acknowledged {
  artifacts = new Map()
  unpacked = new Set()
  versions = new Map()
  aliases = new Map()
  secrets = new Map()
  tokens = new Set()
  /** Steps that were begun last in a killed process: done or not, but nothing between. */
  open = undefined

  done(what) {
    if (what.step === 'artifact') this.artifacts.set(what.digest, what.files)
    if (what.step === 'unpack') this.unpacked.add(what.digest)
    if (what.step === 'switch') this.versions.set(`${what.name}@${what.version}`, what)
    if (what.step === 'switch' || what.step === 'rollback') this.aliases.set(what.name, what.version)
    if (what.step === 'secret') this.secrets.set(what.name, what.value)
    if (what.step === 'token') this.tokens.add(what.id)
  }
}

/** Opens the directory as the next start would, and compares. `thorough` reads every byte of every artifact. */
export async function check(directory, told, { thorough }) {
  const faults = []
  const expect = (holds, fault) => {
    if (!holds) faults.push(fault)
  }
  const store = await openStore({
    file: join(directory, 'flexi.db'),
    key: await readKeyFile(join(directory, 'key')),
  })
  try {
    const artifacts = await openArtifacts({ directory: join(directory, 'artifacts'), freeFloorBytes: 0 })
    const settled = settle(store, told)
    checkRecords(store, told, expect)
    await checkArtifacts({ directory, artifacts, told, thorough }, expect)
    return { faults, settled }
  } finally {
    store[Symbol.dispose]()
  }
}

/** The step that nobody was told about: when all of it is there, it counts from now on. Says whether it was. */
function settle(store, told) {
  const what = told.open
  told.open = undefined
  if (what === undefined || !happened(store, what)) return false
  told.done(what)
  return true
}

function happened(store, what) {
  if (what.step === 'switch') return store.versions.get(what) !== undefined
  if (what.step === 'rollback') return store.aliases.get(what.name, 'live')?.version === what.version
  if (what.step === 'secret') return store.variables.environment(what.name).SECRET === what.value
  if (what.step === 'token') return store.tokens.byHash(`hash of ${what.id}`) !== undefined
  return false
}

function checkRecords(store, told, expect) {
  const audited = new Set(store.audit.recent({ limit: 1_000_000 }).map(({ object }) => object))
  const versions = new Map(store.versions.all().map((one) => [`${one.name}@${one.version}`, one]))
  expect(store.audit.verify().intact, 'the audit log is broken')
  expect(
    versions.size === told.versions.size,
    `${versions.size} versions, and ${told.versions.size} were told of`,
  )
  expect(
    audited.size === told.versions.size,
    `${audited.size} audit lines for ${told.versions.size} versions`,
  )
  for (const [key, { id, digest }] of told.versions) {
    const version = versions.get(key)
    expect(version?.artifact === digest && version.config.options.id === id, `version ${key} is lost`)
    expect(audited.has(key), `the audit line of ${key} is lost`)
  }
  // The table keeps the last thousand.
  for (const { id } of [...told.versions.values()].slice(-900))
    expect(store.deployments.get(id)?.state === 'switched', `deployment ${id} is lost`)
  for (const [name, version] of told.aliases)
    expect(store.aliases.get(name, 'live')?.version === version, `alias ${name} does not lead to ${version}`)
  for (const [name, value] of told.secrets)
    expect(store.variables.environment(name).SECRET === value, `the secret of ${name} is lost`)
  const tokens = new Set(store.tokens.of().map(({ id }) => id))
  for (const id of told.tokens) expect(tokens.has(id), `token ${id} is lost`)
}

async function checkArtifacts({ directory, artifacts, told, thorough }, expect) {
  const root = join(directory, 'artifacts')
  for (const folder of ['incoming', 'unpacked/new'])
    expect((await readdir(join(root, folder))).length === 0, `something was left in ${folder}`)
  for (const digest of told.artifacts.keys()) {
    const file = join(root, 'sha256', digest.slice(0, 2), digest)
    const size = await stat(file).then(
      (found) => found.size,
      () => undefined,
    )
    expect(size !== undefined, `artifact ${digest} is lost`)
    if (thorough && size !== undefined)
      expect(
        createHash('sha256')
          .update(await readFile(file))
          .digest('hex') === digest,
        `artifact ${digest} is damaged`,
      )
  }
  await checkFolders({ root, artifacts, told, thorough }, expect)
}

/** A folder that is there is whole, whether or not anybody was told of it. */
async function checkFolders({ root, artifacts, told, thorough }, expect) {
  const shelves = (await readdir(join(root, 'unpacked'))).filter((name) => name !== 'new')
  const folders = (await Promise.all(shelves.map((shelf) => readdir(join(root, 'unpacked', shelf))))).flat()
  for (const digest of told.unpacked) expect(folders.includes(digest), `the folder of ${digest} is lost`)
  for (const digest of thorough ? folders : folders.slice(-20)) {
    const folder = await artifacts.unpack(digest)
    const files = told.artifacts.get(digest)
    expect(files !== undefined, `the folder of ${digest} is there without its artifact`)
    for (const [path, bytes] of Object.entries(files ?? {})) {
      const size = await stat(join(folder, path)).then(
        (found) => found.size,
        () => undefined,
      )
      expect(size === bytes, `${path} of ${digest} has ${size} bytes instead of ${bytes}`)
    }
  }
}
