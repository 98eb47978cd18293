#!/usr/bin/env node
// The command line of the source tree: compiles what changed, then runs it unbundled, so that stacks name our own files.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const tsc = fileURLToPath(new URL('../node_modules/typescript/bin/tsc', import.meta.url))
const compiled = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], {
  cwd: root,
  stdio: ['ignore', 2, 2],
})
if (compiled.status !== 0) process.exit(compiled.status ?? 1)

process.setSourceMapsEnabled(true)
const { main } = await import('../dist/commands/main.js')
await main(process.argv.slice(2), root)
