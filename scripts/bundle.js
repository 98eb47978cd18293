// Makes the command line start fast: one file of all code it needs (dist/cli.cjs), and its help as text (dist/help.json).
// Runs after tsc, which wrote dist/**; children and the public API keep using those files.
import { createHash } from 'node:crypto'
import { readFile, rename, writeFile } from 'node:fs/promises'
import { isBuiltin } from 'node:module'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

import { build, transform } from 'esbuild'

const root = fileURLToPath(new URL('..', import.meta.url))
const dist = join(root, 'dist')

/** Has binaries, or finds files of its own beside itself, or is so big that only who needs it should read it. */
const EXTERNAL = [
  'esbuild',
  'koffi',
  'libsql',
  '@sigstore/*',
  'miniflare',
  'workerd',
  'undici',
  'unenv',
  'prom-client',
  'reflect-metadata',
  '@peculiar/x509',
  '@smithy/*',
  'jose',
  '@cloudflare/*',
  'inquirer',
  'zod',
  'fsevents',
]

/** Marks a request of ours for the package that a stand-in wraps. */
const REAL = 'the package itself'

const result = await build({
  entryPoints: [join(dist, 'commands/main.js')],
  outfile: join(dist, 'cli.cjs'),
  bundle: true,
  write: false,
  format: 'cjs',
  platform: 'node',
  target: 'node20.19',
  charset: 'ascii',
  minifySyntax: true,
  minifyWhitespace: true,
  sourcemap: 'linked',
  sourcesContent: false,
  external: EXTERNAL,
  mainFields: ['module', 'main'],
  logLevel: 'warning',
  metafile: true,
  plugins: [ownPlaces(), outsideImports(), oclif()],
})
await Promise.all([writeBundle(result), writeHelp()])

/** In the bundle every module has the place of the bundle; ours keep the one they were written for. */
function ownPlaces() {
  return {
    name: 'own-places',
    setup({ onLoad }) {
      onLoad({ filter: /\.js$/, namespace: 'file' }, async ({ path }) => {
        if (!path.startsWith(dist)) return undefined
        const source = await readFile(path, 'utf8')
        // It would fail on the second start, when the code comes from V8's cache.
        if (/^[^'"`*]*\bimport\((?!['"])/m.test(source))
          throw new Error(`${path}: import() of a name that is no literal`)
        if (!/\bimport\.meta\b/.test(source)) return undefined
        const { code } = await transform(source, {
          define: {
            'import.meta.url': 'flexiPlaceUrl',
            'import.meta.filename': 'flexiPlaceFile',
            'import.meta.dirname': 'flexiPlaceFolder',
            // bin/ and dist/ have the same package imports.
            'import.meta.resolve': 'flexiPlace.resolve',
          },
          sourcemap: 'inline',
          sourcefile: path,
        })
        return { contents: placed(code, relative(root, path)) }
      })
    },
  }
}

/** On one line with the code, so that its lines keep their numbers; esbuild drops what is not used. */
function placed(code, path) {
  const constants = [
    `const flexiPlaceUrl = new URL(${JSON.stringify(path)}, flexiPlace.root).href`,
    `const flexiPlaceFile = process.getBuiltinModule('node:url').fileURLToPath(flexiPlaceUrl)`,
    `const flexiPlaceFolder = process.getBuiltinModule('node:path').dirname(flexiPlaceFile)`,
  ]
  return `${constants.join('; ')}; ${code}`
}

/**
 * What is imported late and stays outside is imported by bin/run.js: in code that V8 took from its cache, Node 20 finds
 * no import() any more. The stand-in is a module with a `then`, which import() follows as any promise does.
 */
function outsideImports() {
  return {
    name: 'outside-imports',
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /^[^./]/ }, ({ kind, path }) =>
        kind === 'dynamic-import' && staysOutside(path) ? { path, namespace: 'outside' } : undefined,
      )
      onLoad({ filter: /.*/, namespace: 'outside' }, ({ path }) => ({
        contents: `export function then(resolve, reject) { flexiPlace.import(${JSON.stringify(path)}).then(resolve, reject) }`,
      }))
    },
  }
}

function staysOutside(name) {
  return (
    isBuiltin(name) || EXTERNAL.some((one) => name === one || name.startsWith(`${one.replace(/\/\*$/, '')}/`))
  )
}

/**
 * oclif for a bundle. It loads commands from files that package.json names; here they are already in memory.
 * And it requires everything it may ever need; here each module is required when it is first used.
 */
function oclif() {
  const commands = JSON.stringify(join(dist, 'commands/index.js'))
  const moduleLoader = `
    const file = { filePath: 'dist/commands/index.js', isESM: true, get module() { return require(${commands}) } }
    exports.load = async () => file.module
    exports.loadWithData = async () => file
    exports.loadWithDataFromManifest = async () => file
    exports.isPathModule = () => true`
  // Its five packages and two processes answer one question, and a second one that nobody asks on Linux.
  const wslUtils = `
    import { release } from 'node:os'
    export const isWsl = process.platform === 'linux' && /microsoft/i.test(release())
    export const powerShellPath = async () => 'powershell.exe'`
  return {
    name: 'oclif',
    setup({ onLoad, onResolve, resolve }) {
      onLoad({ filter: /@oclif[\\/]core[\\/]lib[\\/].*\.js$/ }, async ({ path }) => {
        if (path.endsWith('module-loader.js')) return { contents: moduleLoader, resolveDir: root }
        return { contents: requireLate(await readFile(path, 'utf8')) }
      })
      onResolve({ filter: /^debug$/ }, ({ path, pluginData, ...args }) =>
        pluginData === REAL ? undefined : { path, namespace: 'debug', pluginData: args.resolveDir },
      )
      onLoad({ filter: /.*/, namespace: 'debug' }, async ({ pluginData }) => {
        const real = await resolve('debug', {
          kind: 'require-call',
          resolveDir: pluginData,
          pluginData: REAL,
        })
        return { contents: debugOnDemand(real.path), resolveDir: root }
      })
      onLoad({ filter: /node_modules[\\/]wsl-utils[\\/]index\.js$/ }, () => ({ contents: wslUtils }))
    },
  }
}

/** `debug` looks at the terminal when it is loaded, for those few who set DEBUG. */
function debugOnDemand(path) {
  return `
    const silent = Object.assign(() => {}, { enabled: false })
    module.exports = process.env.DEBUG ? require(${JSON.stringify(path)}) : () => silent`
}

/** `const a_1 = require("a")` … `a_1.b()` → `require("a").b()`: what TypeScript writes for imports, without the wait. */
function requireLate(source) {
  let late = source
  for (const [line, name, helper = '', request] of source.matchAll(
    /^const (\w+_\d+) = (__importDefault\()?require\("([^"]+)"\)\)?;\n/gm,
  )) {
    const expression = `(${helper}require("${request}")${helper === '' ? '' : ')'})`
    late = late.replace(line, '').replace(new RegExp(`\\b${name}\\b`, 'g'), expression)
  }
  return late
}

/** The bundle as one function expression, under a line with its hash: what bin/start.js compiles and caches. */
async function writeBundle({ outputFiles, metafile }) {
  const code = outputFiles.find(({ path }) => path.endsWith('cli.cjs')).text
  const map = outputFiles.find(({ path }) => path.endsWith('.map'))
  const body = code.replace(/\n\/\/# sourceMappingURL=.*\s*$/, '')
  const hash = createHash('sha256').update(body).digest('hex').slice(0, 16)
  const head = `// ${hash}\n(function (require, flexiPlace) { const module = { exports: {} }, { exports } = module\n`
  // At once: a command that starts meanwhile must not find half of it.
  const draft = join(dist, `cli.cjs.${process.pid}`)
  await writeFile(draft, `${head}${body}\nreturn module.exports })\n//# sourceMappingURL=cli.cjs.map\n`)
  await rename(draft, join(dist, 'cli.cjs'))
  // Two lines stand before the first one of the map.
  const shifted = JSON.parse(map.text)
  await writeFile(
    join(dist, 'cli.cjs.map'),
    JSON.stringify({ ...shifted, mappings: `;;${shifted.mappings}` }),
  )
  if (process.argv.includes('--analyse')) printSizes(metafile)
}

function printSizes(metafile) {
  const [output] = Object.values(metafile.outputs).filter(({ entryPoint }) => entryPoint !== undefined)
  const sizes = new Map()
  for (const [path, { bytesInOutput }] of Object.entries(output.inputs)) {
    const name = /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? path.split('/').slice(0, 2).join('/')
    sizes.set(name, (sizes.get(name) ?? 0) + bytesInOutput)
  }
  for (const [name, bytes] of [...sizes].sort((a, b) => b[1] - a[1]))
    process.stdout.write(`${String(bytes).padStart(8)} ${name}\n`)
}

/** What oclif prints for `--help`, of flexi and of every command, and for `--version`: 80 columns wide, with and without colours. */
async function writeHelp() {
  process.env.FORCE_COLOR = '1'
  process.env.OCLIF_COLUMNS = '80'
  const { Config, Help, settings } = await import('@oclif/core')
  settings.enableAutoTranspile = false
  const pjson = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
  const config = await Config.load({ root, pjson })
  const { COMMANDS } = await import(join(dist, 'commands/index.js'))
  const texts = { '--version': `${config.userAgent}\n` }
  // Of what is one word: bin/run.js looks for nothing else here.
  for (const id of ['', ...Object.keys(COMMANDS).filter((name) => !name.includes(':'))]) {
    let text = ''
    class Captured extends Help {
      log(...lines) {
        text += `${lines.join(' ')}\n`
      }
    }
    await new Captured(config, pjson.oclif.helpOptions).showHelp(id === '' ? [] : [id, '--help'])
    texts[id] = text
  }
  const agent = `${config.platform}-${config.arch} node-${process.version}`
  const entries = Object.entries(texts).map(([id, text]) => {
    const coloured = text.replaceAll(agent, '{{agent}}')
    // oxlint-disable-next-line no-control-regex
    return [id, { plain: coloured.replace(/\u001b\[[0-9;]*m/g, ''), coloured }]
  })
  await writeFile(join(dist, 'help.json'), JSON.stringify(Object.fromEntries(entries)))
}
