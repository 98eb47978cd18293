import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text as readText } from 'node:stream/consumers'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { cli, ROOT, RUN } from './cli.ts'

const COMMANDS = [
  'audit',
  'build',
  'check',
  'deploy',
  'deployments',
  'dev',
  'events',
  'invoke',
  'login',
  'logout',
  'logs',
  'new',
  'proxy',
  'rollback',
  'trust',
  'types',
  'versions',
  'whoami',
]

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'flexi-start-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

/** What oclif prints with the files that tsc wrote: no bundle, no text made beforehand. */
async function unbundled(args: readonly string[]): Promise<string> {
  const script = join(folder, 'unbundled.mjs')
  const main = JSON.stringify(join(ROOT, 'dist/commands/main.js'))
  await writeFile(
    script,
    `const { main } = await import(${main}); await main(process.argv.slice(2), ${JSON.stringify(ROOT)})`,
  )
  return (await cli(args, { script })).stdout
}

describe('help and version are texts made at build time', () => {
  test.for([[], ...COMMANDS.map((name) => [name])])(
    'the help of flexi %s is what oclif prints',
    async (words) => {
      const made = await cli([...words, '--help'])
      expect(made).toMatchObject({ exit: 0, stderr: '' })
      expect(made.stdout).toContain('USAGE')
      expect(made.stdout).toBe(await unbundled([...words, '--help']))
    },
  )

  test('the version is what oclif prints', async () => {
    const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { version: string }
    const made = await cli(['--version'])
    expect(made.stdout).toBe(`flexi/${version} ${process.platform}-${process.arch} node-${process.version}\n`)
    expect(made.stdout).toBe(await unbundled(['--version']))
  })

  test.for([['-h'], ['help'], []])('"flexi %s" is the same help', async (words) => {
    expect((await cli(words)).stdout).toBe((await cli(['--help'])).stdout)
  })

  test.for([
    ['dev', '-h'],
    ['help', 'dev'],
    ['dev', '--json', '--help'],
  ])('"flexi %s" is the help of dev', async (words) => {
    expect((await cli(words)).stdout).toBe((await cli(['dev', '--help'])).stdout)
  })

  test('every command has a summary and an example', async () => {
    const help = JSON.parse(await readFile(join(ROOT, 'dist/help.json'), 'utf8')) as Record<
      string,
      { plain: string }
    >
    expect(Object.keys(help).toSorted()).toEqual(['', '--version', ...COMMANDS])
    for (const name of COMMANDS) {
      expect(help[name]?.plain).toMatch(/^[A-Z].*\.\n\nUSAGE\n/)
      expect(help[name]?.plain).toContain(`EXAMPLES\n`)
    }
  })

  test('a reader that closes early costs no stack trace', async () => {
    const child = spawn('sh', [
      '-c',
      `${process.execPath} ${RUN} --help | head -n 1; ${process.execPath} ${RUN} new --list | head -n 1`,
    ])
    let output = ''
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => (output += text))
    await new Promise((resolve) => child.on('close', resolve))
    expect(output.trim().split('\n')).toHaveLength(2)
  })
})

describe('the bundle', () => {
  test('runs from any folder and through a link, as npx starts it', async () => {
    const link = join(folder, 'flexi')
    await symlink(RUN, link)
    const listed = await cli(['new', '--list', '--json'], { cwd: '/', script: link })
    expect(listed).toMatchObject({ exit: 0, stderr: '' })
    expect(JSON.parse(listed.stdout)).toContainEqual(expect.objectContaining({ name: 'proxy' }))
  })

  test("keeps V8's compiled code from a run that went well, and runs from it", async () => {
    const environment = { FLEXI_CACHE_DIR: join(folder, 'cache') }
    const first = await cli(['new', '--list'], { environment })
    const [kept, ...others] = await readdir(join(folder, 'cache/code'))
    expect(kept).toMatch(/^[0-9a-f]{16}-v\d+.*-new$/)
    expect(others).toEqual([])
    expect(await cli(['new', '--list'], { environment })).toEqual(first)
    expect(await readdir(join(folder, 'cache/code'))).toEqual([kept])
  })

  test('takes code that V8 cannot use for no code at all', async () => {
    const environment = { FLEXI_CACHE_DIR: join(folder, 'spoilt') }
    const first = await cli(['new', '--list'], { environment })
    const [kept = ''] = await readdir(join(folder, 'spoilt/code'))
    await writeFile(join(folder, 'spoilt/code', kept), 'not what V8 wrote')
    expect(await cli(['new', '--list'], { environment })).toEqual(first)
    expect((await readFile(join(folder, 'spoilt/code', kept))).byteLength).toBeGreaterThan(10_000)
  })

  test('forgets the code of builds that nobody has run for a month, and no other', async () => {
    const code = join(folder, 'month/code')
    await mkdir(code, { recursive: true })
    await writeFile(join(code, '0000000000000000-v20-x64-new'), 'in use')
    await writeFile(join(code, '1111111111111111-v20-x64-new'), 'gone')
    await utimes(join(code, '1111111111111111-v20-x64-new'), 0, 0)
    await cli(['new', '--list'], { environment: { FLEXI_CACHE_DIR: join(folder, 'month') } })
    const names = (await readdir(code)).map((name) => name.slice(0, 16))
    expect(names).toHaveLength(2)
    expect(names).toContain('0000000000000000')
    expect(names).not.toContain('1111111111111111')
  })

  test('runs where nothing can be written', async () => {
    const result = await cli(['new', '--list'], {
      environment: { FLEXI_CACHE_DIR: '/dev/null/cache', HOME: '/dev/null' },
    })
    expect(result).toMatchObject({ exit: 0, stderr: '' })
  })

  test.skipIf(process.getuid?.() !== 0)(
    'runs as a user id without a name, as containers have them',
    async () => {
      const child = spawn(process.execPath, [RUN, 'daemon', 'status', '--data-dir', '/nowhere'], {
        uid: 54_321,
        gid: 54_321,
        env: { HOME: '/nowhere' },
      })
      const [exit, printed] = await Promise.all([
        new Promise((resolve) => child.once('close', resolve)),
        readText(child.stderr),
      ])
      expect(printed).toContain('no daemon runs on /nowhere')
      expect(exit).toBe(69)
    },
  )

  test('starts a command without the packages that only others need', async () => {
    const bundle = await readFile(join(ROOT, 'dist/cli.cjs'), 'utf8')
    const map = JSON.parse(await readFile(join(ROOT, 'dist/cli.cjs.map'), 'utf8')) as { sources: string[] }
    const bundled = new Set(
      map.sources.map((source) => /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(source)?.[1]),
    )
    expect([...bundled]).toContain('@oclif/core')
    for (const name of ['esbuild', 'inquirer', 'koffi', 'miniflare', 'undici', 'workerd', 'zod'])
      expect([...bundled]).not.toContain(name)
    // What stays outside is imported by its name, late, by bin/run.js.
    for (const name of ['esbuild', 'inquirer'])
      expect(bundle.includes(`flexiPlace.import("${name}")`)).toBe(true)
  })
})

describe('what is not a command or a flag', () => {
  test.for([
    [['chekc'], 'there is no command "chekc"', 'Did you mean "flexi check"?'],
    [['dve', '--help'], 'there is no command "dve"', 'Did you mean "flexi dev"?'],
    [['frobnicate'], 'there is no command "frobnicate"', 'Run "flexi --help" for the list.'],
    [['dev', '--prot', '80'], 'Nonexistent flag: --prot', 'Did you mean "--port"?'],
    [['dev', '--port', 'many'], '✖ --port must be an integer, not many', 'See the command with --help.'],
    [
      ['dev', '--port', '70000'],
      '✖ --port must be an integer less than or equal to 65535, not 70000',
      'See the command with --help.',
    ],
    [
      ['dev', '--inspect=-1'],
      '✖ --inspect must be an integer greater than or equal to 0, not -1',
      'See the command with --help.',
    ],
    [['dev', '--log-format', 'xml'], 'to be one of: pretty, json, flexilib', 'See the command with --help.'],
    [['invoke'], 'Missing 1 required arg', 'See the command with --help.'],
    [['check', 'a', 'b'], 'Unexpected argument: b', 'See the command with --help.'],
  ] as const)('%s', async ([args, message, hint]) => {
    const result = await cli(args)
    expect(result).toMatchObject({ exit: 2, stdout: '' })
    expect(result.stderr).toContain(message)
    expect(result.stderr).toContain(hint)
    expect(result.stderr).not.toContain('    at ')
  })

  test('is JSON on stdout with --json', async () => {
    const result = await cli(['new', '--json', '--template', 'lamda-ts', 'x'])
    expect(result).toMatchObject({ exit: 2, stderr: '' })
    expect(JSON.parse(result.stdout)).toMatchObject({
      error: { code: 'FLEXI_USAGE', message: 'there is no template "lamda-ts"' },
    })
  })

  test('is no folder', async () => {
    const result = await cli(['check', 'nowhere'])
    expect(result).toMatchObject({ exit: 66, stdout: '' })
    expect(result.stderr).toContain('there is no folder nowhere')
  })

  test('does not take its arguments from standard input', async () => {
    const result = await cli(['new', '--template', 'proxy'], { cwd: folder, input: 'from-stdin\n' })
    expect(result.stdout).toContain('my-app')
  })
})

test('docs/commands.md tells of every command and every flag', async () => {
  const text = await readFile(join(ROOT, 'docs/commands.md'), 'utf8')
  const sections = new Map(text.split(/^## /m).map((section) => [/^flexi (\w+)/.exec(section)?.[1], section]))
  const help = JSON.parse(await readFile(join(ROOT, 'dist/help.json'), 'utf8')) as Record<
    string,
    { plain: string }
  >
  for (const name of COMMANDS) {
    const flags = [...(help[name]?.plain ?? '').matchAll(/^ +(?:-\w, )?(--[a-z[\]-]+)/gm)].map(
      ([, flag = '']) => flag.replace('[no-]', 'no-'),
    )
    expect(flags.length).toBeGreaterThan(0)
    for (const flag of flags) expect(sections.get(name), `${name} ${flag}`).toContain(flag)
  }
})
