import { execFile } from 'node:child_process'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'

import { expect, test } from 'vitest'

const ROOT = resolve(import.meta.dirname, '../../..')
const run = promisify(execFile)

test('the template passes its own type check and its own tests, without an installation', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'flexi-test-'))
  try {
    await cp(join(ROOT, 'templates/workers-ts'), directory, { recursive: true })
    const file = join(directory, 'wrangler.jsonc')
    await writeFile(file, (await readFile(file, 'utf8')).replaceAll('{{name}}', 'notes'))
    const tsc = join(ROOT, 'node_modules/typescript/bin/tsc')
    await run(process.execPath, [tsc, '-p', directory])
    // This process's own test context would make the one inside report to it instead of printing.
    const { NODE_TEST_CONTEXT: _, ...env } = process.env
    const flexi = `${process.execPath} ${join(ROOT, 'bin/run.js')}`
    const { stdout } = await run(process.execPath, ['--test'], {
      cwd: directory,
      env: { ...env, FLEXI: flexi },
    })
    expect(stdout).toMatch(/pass 3\b/)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}, 30_000)
