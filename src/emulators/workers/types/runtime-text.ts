import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createRequire } from 'node:module'
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Readable } from 'node:stream'

import { FlexiError } from '../../../core/errors.ts'
import type { AbsolutePath } from '../../../core/place.ts'
import type { Compatibility } from '../node-compat.ts'
import { findWorkerd } from '../workerd.ts'

const require = createRequire(import.meta.url)

/** What the types of the runtime depend on: `workerd@1.20261023.1 2026-01-01 nodejs_compat` */
export function runtimeLabel({ date, flags }: Compatibility): string {
  const { version } = require('workerd') as { version: string }
  return `workerd@${version} ${date} ${flags.toSorted().join(',')}`.trimEnd()
}

/**
 * Declarations of everything the runtime has at this date with these flags, as workerd tells them of itself. It takes a second, so the
 * answer is kept under `.flexi/types`.
 * @throws FlexiError FLEXI_BUG when workerd does not tell.
 */
export async function runtimeText(
  compatibility: Compatibility,
  stateDirectory: AbsolutePath,
): Promise<string> {
  const name = createHash('sha256').update(runtimeLabel(compatibility)).digest('hex').slice(0, 16)
  const kept = join(stateDirectory, 'types', `${name}.d.ts`)
  const before = await readFile(kept, 'utf8').catch(() => undefined)
  if (before !== undefined) return before
  const text = await askWorkerd(compatibility)
  await mkdir(dirname(kept), { recursive: true })
  const fresh = `${kept}.${process.pid}`
  await writeFile(fresh, text)
  await rename(fresh, kept)
  return text
}

/** The program that comes with workerd and writes its types; where it lies is the root of its imports. */
const CONFIG = `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "types", worker = (
    modules = [(name = "worker.mjs", esModule = embed "/worker.mjs")],
    compatibilityDate = "2024-01-01",
    compatibilityFlags = ["nodejs_compat", "rtti_api"]
  ))],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "types")]
);
`

async function askWorkerd({ date, flags }: Compatibility): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'flexi-types-'))
  const file = join(folder, 'types.capnp')
  await writeFile(file, CONFIG)
  const root = dirname(require.resolve('workerd/worker.mjs'))
  const child = spawn(
    findWorkerd().path,
    ['serve', '--experimental', `--import-path=${root}`, '--control-fd=3', file],
    { stdio: ['ignore', 'ignore', 'pipe', 'pipe'] },
  )
  try {
    const port = await listeningPort(child.stdio[3] as Readable, child.stderr as Readable)
    // Node's own types come from @types/node, so its flags change nothing here.
    const asked = [date, ...flags.filter((flag) => !flag.includes('nodejs_compat'))].join('+')
    const response = await fetch(`http://127.0.0.1:${port}/${asked}`, {
      signal: AbortSignal.timeout(LIMIT_MS),
    })
    const text = await response.text()
    if (!response.ok) throw silent(text)
    return text
  } finally {
    child.kill('SIGKILL')
    await rm(folder, { recursive: true, force: true })
  }
}

const LIMIT_MS = 30_000

/** workerd tells `{"event":"listen","socket":"http","port":40123}` on its control channel. */
async function listeningPort(control: Readable, errors: Readable): Promise<number> {
  let told = ''
  let words = ''
  errors.on('data', (chunk: Buffer) => {
    words += chunk.toString()
  })
  for await (const chunk of control) {
    told += String(chunk)
    const port = /"port":\s*(\d+)/.exec(told)?.[1]
    if (port !== undefined) return Number(port)
  }
  throw silent(words)
}

function silent(words: string): FlexiError {
  return new FlexiError(
    'FLEXI_BUG',
    `workerd did not tell the types of its runtime: ${words.slice(0, 400)}`,
    {
      hint: 'Use --no-include-runtime, and the package @cloudflare/workers-types in its place.',
    },
  )
}
