import { execFileSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'

import { describe, expect, test } from 'vitest'

import { ROOT, runFlexi, startFlexi, temporaryFolder } from './flexi-process.ts'

/** The tool a template cannot run without, and how to ask for it. */
const NEEDS: Readonly<Record<string, readonly string[]>> = {
  'lambda-python': ['python3', '--version'],
}

function lacks(template: string): string | undefined {
  const [command, ...args] = NEEDS[template] ?? []
  if (command === undefined) return undefined
  try {
    execFileSync(command, args, { stdio: 'ignore' })
    return undefined
  } catch {
    return command
  }
}

const templates = readdirSync(join(ROOT, 'templates'))

describe('every template', () => {
  test('all eleven are there', () => {
    expect(templates.toSorted()).toEqual([
      'lambda-js',
      'lambda-python',
      'lambda-ts',
      'native-c',
      'native-cpp',
      'native-go',
      'native-rust',
      'native-zig',
      'process-node',
      'proxy',
      'workers-ts',
    ])
  })

  // Those of native libraries answer in native-templates.test.ts.
  for (const template of templates.filter((name) => !name.startsWith('native-'))) {
    const missing = lacks(template)
    const title = `${template} answers at once after flexi new, without npm install`
    if (missing !== undefined) {
      test.skip(`${title} (${missing} is not installed)`)
      continue
    }
    test(
      title,
      async () => {
        await using folder = await temporaryFolder()
        const created = await runFlexi(['new', 'my-api', '--template', template, '--yes'], {
          cwd: folder.path,
        })
        expect(created.stderr + created.stdout).toContain('flexi dev')
        expect(created.code).toBe(0)
        const project = join(folder.path, 'my-api')
        expect(await readdir(project)).toEqual(expect.arrayContaining(['README.md', '.gitignore']))
        expect(await readdir(project)).not.toContain('template.json')
        const checked = await runFlexi(['check'], { cwd: project })
        expect(checked.code).toBe(0)
        await using flexi = await startFlexi(project)
        const answer = await fetch(`${flexi.url}/`)
        expect({
          status: answer.status,
          body: await answer.text(),
          events: flexi.events.filter(({ event }) => event === 'error'),
        }).toMatchObject({ status: 200, events: [] })
      },
      120_000,
    )
  }
})
