#!/usr/bin/env node
// Starts the command line, and nothing else. Built-in modules are taken with getBuiltinModule: an import of node:fs also
// loads its streams, which costs `flexi --help` two milliseconds of its three.
const { existsSync, fstatSync, readFileSync, writeSync } = process.getBuiltinModule('node:fs')
const path = process.getBuiltinModule('node:path')
const { fileURLToPath, pathToFileURL } = process.getBuiltinModule('node:url')

const root = fileURLToPath(new URL('..', import.meta.url))
const argv = process.argv.slice(2)

/** Compiled code of other builds may be in use too, but not after so long. */
const FORGET_AFTER_MS = 30 * 24 * 3_600_000

if (!printMadeText()) {
  const { main } = await commandLine()
  await main(argv, root)
}

/** `--version` and `--help` are texts made when flexi was built: nothing but Node itself needs to start for them. */
function printMadeText() {
  const key = textKey()
  if (key === undefined) return false
  try {
    // process.stdout is not touched without need: for a pipe it loads all of node:net.
    const { columns = 80, isTTY = false } = fstatSync(1).isCharacterDevice() ? process.stdout : {}
    // The texts are 80 columns wide; oclif makes others.
    if (columns < 80) return false
    const text = JSON.parse(readFileSync(path.join(root, 'dist/help.json'), 'utf8'))[key]
    const agent = `${process.platform}-${process.arch} node-${process.version}`
    const coloured = isTTY && !process.env.NO_COLOR && process.env.TERM !== 'dumb'
    writeSync(1, (coloured ? text.coloured : text.plain).replaceAll('{{agent}}', agent))
    return true
  } catch {
    // No such text, no build, or nobody who reads: the long way says what is wrong.
    return false
  }
}

/** The name of the text that these arguments ask for; "" is flexi's own help. */
function textKey() {
  const [first = '--help', second, ...more] = argv
  if (more.length > 0) return undefined
  if (second === undefined) return wholeKey(first)
  return second === '--help' || second === '-h' ? first : undefined
}

function wholeKey(word) {
  if (word === '--version' || word === '-v') return '--version'
  return word === '--help' || word === '-h' || word === 'help' ? '' : undefined
}

/** The bundle of scripts/bundle.js, or what tsc wrote where there is none. */
async function commandLine() {
  const bundle = path.join(root, 'dist/cli.cjs')
  if (!existsSync(bundle)) return import(pathToFileURL(path.join(root, 'dist/commands/main.js')).href)
  const { createRequire, enableCompileCache } = process.getBuiltinModule('node:module')
  const cache = cacheFolder()
  enableCompileCache?.(path.join(cache, 'node'))
  const load = compiled(bundle, path.join(cache, 'code'))
  return load(createRequire(bundle), {
    root: pathToFileURL(root).href,
    import: (specifier) => import(specifier),
    resolve: (specifier) => import.meta.resolve(specifier),
  })
}

/**
 * The bundle's function, with V8's compiled code from an earlier run: that halves the time to the first command.
 * Each command has a cache of its own, since a cache holds only the functions that ran.
 */
function compiled(bundle, folder) {
  const { Script } = process.getBuiltinModule('node:vm')
  // The bundle is ASCII: read as latin1 it stays one byte a character.
  const source = readFileSync(bundle, 'latin1')
  // V8 compares no more of the source than its length, so the name carries the hash of the bundle's first line.
  const build = /^\/\/ ([0-9a-f]+)/.exec(source)?.[1]
  const verb = /^[a-z]+$/.test(argv[0] ?? '') ? argv[0] : 'other'
  const file = path.join(folder, `${build}-${process.version}-${process.arch}-${verb}`)
  const cachedData = readOwn(file)
  const script = new Script(source, { filename: bundle, cachedData })
  if (cachedData === undefined || script.cachedDataRejected) {
    process.once('exit', (code) => {
      if (code === 0) keep(script, file, { folder, build })
    })
  }
  return script.runInThisContext()
}

/** Compiled code runs as it is, so nobody else's is taken: not a user's by root, nor the other way round. */
function readOwn(file) {
  const { statSync } = process.getBuiltinModule('node:fs')
  try {
    const { uid } = statSync(file)
    return process.getuid === undefined || process.getuid() === uid ? readFileSync(file) : undefined
  } catch {
    return undefined
  }
}

/** A cache that can't be written (read-only home, full disk) costs milliseconds and is nobody's business. */
function keep(script, file, { folder, build }) {
  const { mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } =
    process.getBuiltinModule('node:fs')
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    for (const name of readdirSync(folder)) {
      const old = statSync(path.join(folder, name)).mtimeMs < Date.now() - FORGET_AFTER_MS
      if (old && !name.startsWith(`${build}-`)) rmSync(path.join(folder, name), { force: true })
    }
    const draft = `${file}.${process.pid}`
    writeFileSync(draft, script.createCachedData(), { mode: 0o600 })
    renameSync(draft, file)
  } catch {}
}

/** Where the platform wants caches; the same folder as oclif's. */
function cacheFolder() {
  const { homedir } = process.getBuiltinModule('node:os')
  const { env, platform } = process
  if (env.FLEXI_CACHE_DIR) return env.FLEXI_CACHE_DIR
  if (platform === 'darwin') return path.join(homedir(), 'Library/Caches/flexi')
  if (env.XDG_CACHE_HOME) return path.join(env.XDG_CACHE_HOME, 'flexi')
  return platform === 'win32' && env.LOCALAPPDATA
    ? path.join(env.LOCALAPPDATA, 'flexi')
    : path.join(homedir(), '.cache/flexi')
}
