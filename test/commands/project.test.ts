import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { cli } from './cli.ts'

const HANDLER = `export const handler = async (event) => {
  console.log('seen', JSON.stringify(event))
  if (event.fail) throw new TypeError('as you wish')
  while (event.busy);
  return { got: event }
}
`

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'flexi-project-'))
  await mkdir(join(folder, 'good/src'), { recursive: true })
  await mkdir(join(folder, 'bad'))
  const functions = { hello: { provider: 'lambda', handler: 'src/hello.handler', timeout: 20 } }
  await writeFile(
    join(folder, 'good/flexi.jsonc'),
    JSON.stringify({ functions, routes: [{ path: '/', to: 'hello' }] }),
  )
  await writeFile(join(folder, 'good/src/hello.mjs'), HANDLER)
  await writeFile(
    join(folder, 'bad/proxy.ini'),
    '/a = http://127.0.0.1:3001\n[section]\n/b = http://127.0.0.1:3002\nword\n',
  )
})
afterAll(() => rm(folder, { recursive: true, force: true }))

describe('flexi check', () => {
  test('prints functions and routes of a project without a fault', async () => {
    const result = await cli(['check', 'good'], { cwd: folder })
    expect(result).toMatchObject({ exit: 0, stderr: '' })
    expect(result.stdout).toMatch(/FUNCTION +PROVIDER\n +hello +lambda\n/)
    expect(result.stdout).toMatch(/ROUTE +TARGET\n +\/ +hello\n/)
    expect(result.stdout).toContain('✔ no faults')
  })

  test('writes targets as a file would: folders from here, and nothing where nothing is named', async () => {
    const site = join(folder, 'a public dir')
    await mkdir(join(folder, 'folders/lib'), { recursive: true })
    await mkdir(site, { recursive: true })
    const lines = ['/e =', '/lib = ./lib', `/up = ../a public dir`, '/ = .', '']
    await writeFile(join(folder, 'folders/proxy.ini'), lines.join('\n'))
    const { stdout } = await cli(['check', '--json', 'folders'], { cwd: folder })
    const { routes } = JSON.parse(stdout) as { routes: { target: string }[] }
    expect(routes.map(({ target }) => target)).toEqual(['nothing', './lib/', '../a public dir/', './'])
  })

  test('is data with --json', async () => {
    const result = await cli(['check', '--json', 'good'], { cwd: folder })
    expect(result).toMatchObject({ exit: 0, stderr: '' })
    expect(JSON.parse(result.stdout)).toMatchObject({
      directory: join(folder, 'good'),
      functions: [{ name: 'hello', provider: 'lambda' }],
      routes: [{ pattern: '/', target: 'hello' }],
      warnings: [],
    })
  })

  test('prints all faults at once, each with its place and its line, and exits with 78', async () => {
    const result = await cli(['check', 'bad'], { cwd: folder })
    expect(result).toMatchObject({ exit: 78, stdout: '' })
    expect(result.stderr).toContain('✖ 2 faults in the configuration FLEXI_CONFIG')
    expect(result.stderr).toMatch(/proxy\.ini:2:1 .*\n +2 \| \[section\]\n +\| \^\n/)
    expect(result.stderr).toMatch(/proxy\.ini:4:1 .*\n +4 \| word\n/)
    expect(result.stderr).not.toContain('    at ')
  })

  test('finds a slip of the pen in a wrangler file: a program that is not there is a fault, an unknown key a warning', async () => {
    await mkdir(join(folder, 'edge'))
    const check = async (text: string) => {
      await writeFile(join(folder, 'edge/wrangler.jsonc'), text)
      return await cli(['check', 'edge'], { cwd: folder })
    }
    const slip = await check('{ "name": "edge", "mian": "index.js", "compatibility_date": "2026-01-01" }')
    expect(slip.exit).toBe(78)
    expect(slip.stderr).toContain('the file names neither a program nor assets')
    expect(slip.stderr).toContain('wrangler.jsonc:1:19  Unexpected fields found in top-level field: "mian"')
    const gone = await check('{ "name": "edge", "main": "index.js", "compatibility_date": "2026-01-01" }')
    expect(gone.exit).toBe(78)
    expect(gone.stderr).toMatch(/wrangler\.jsonc:1:19  the program .*index\.js does not exist/)
    await writeFile(join(folder, 'edge/index.js'), 'export default {}')
    const odd = await check('{ "main": "index.js", "kv": [], "compatibility_date": "2026-01-01" }')
    expect(odd).toMatchObject({ exit: 0, stderr: '' })
    expect(odd.stdout).toContain('wrangler.jsonc:1:23  Unexpected fields found in top-level field: "kv"')
    expect(odd.stdout).toContain('✔ no faults, 1 warning')
  })

  test('has the faults as data with --json', async () => {
    const result = await cli(['check', '--json', 'bad'], { cwd: folder })
    expect(result).toMatchObject({ exit: 78, stderr: '' })
    const { error } = JSON.parse(result.stdout) as {
      error: { code: string; faults: { place: { line: number } }[] }
    }
    expect(error.code).toBe('FLEXI_CONFIG')
    expect(error.faults.map(({ place }) => place.line)).toEqual([2, 4])
  })
})

describe('flexi invoke', () => {
  // Twice: the second run takes the code of the first from V8's cache, where import() has to be somebody else's.
  test.for([1, 2])(
    'passes standard input to the function, and prints what it returns on stdout and what it prints on stderr (run %i)',
    async () => {
      const result = await cli(['invoke', '--dir', 'good', '--payload', '-', 'hello'], {
        cwd: folder,
        input: '{"name":"Ada"}',
      })
      expect(result).toMatchObject({ exit: 0, stdout: '{"got":{"name":"Ada"}}' })
      expect(result.stderr).toContain('hello │ seen {"name":"Ada"}')
      expect(result.stderr).not.toContain('REPORT')
    },
  )

  test('takes JSON or a file, and an empty event without either', async () => {
    await writeFile(join(folder, 'event.json'), '{"from":"a file"}')
    for (const [payload, got] of [
      [['--payload', '[1]'], [1]],
      [['--payload', 'event.json'], { from: 'a file' }],
      [[], {}],
    ] as const) {
      const result = await cli(['invoke', '--dir', 'good', ...payload, '--json', 'hello'], { cwd: folder })
      expect(JSON.parse(result.stdout)).toMatchObject({ payload: { got } })
    }
  })

  test('prints what the platform logs with --log', async () => {
    const result = await cli(['invoke', '--dir', 'good', '--log', 'hello'], { cwd: folder })
    expect(result.stderr).toContain('REPORT RequestId')
  })

  test('sends a request without a body when no payload is named', async () => {
    const args = ['invoke', '--dir', 'good', '--path', '/a?b=1', '--json', 'hello']
    const { stdout } = await cli(args, { cwd: folder })
    const { payload } = JSON.parse(stdout) as { payload: { got: Record<string, unknown> } }
    expect(payload.got).toMatchObject({ rawPath: '/a', requestContext: { http: { method: 'GET' } } })
    expect(payload.got).not.toHaveProperty('body')
  })

  test('waits no longer than it is told, whatever the function may take', async () => {
    const args = ['invoke', '--dir', 'good', '--timeout', '1', '--payload', '{"busy":true}', 'hello']
    const result = await cli(args, { cwd: folder })
    expect(result).toMatchObject({ exit: 1, stdout: '' })
    expect(result.stderr).toContain('hello did not answer within 1 s FLEXI_FUNCTION_TIMEOUT')
  })

  test('exits with 1 when the function fails, and prints the error its caller would get', async () => {
    const result = await cli(['invoke', '--dir', 'good', '--payload', '{"fail":true}', 'hello'], {
      cwd: folder,
    })
    expect(result.exit).toBe(1)
    expect(JSON.parse(result.stdout)).toMatchObject({ errorType: 'TypeError', errorMessage: 'as you wish' })
  })

  test.for([
    [['nope'], 66, 'no function is called nope'],
    [['--payload', 'no.json', 'hello'], 66, '--payload no.json is neither JSON nor a file'],
    [['--header', 'nonsense', 'hello'], 2, '--header nonsense has no value'],
    [['--event', 'aws:sqss', 'hello'], 66, 'aws:sqs'],
  ] as const)('%s fails with %i', async ([args, exit, message]) => {
    const result = await cli(['invoke', '--dir', 'good', ...args], { cwd: folder })
    expect(result).toMatchObject({ exit, stdout: '' })
    expect(result.stderr).toContain(message)
  })
})

describe('flexi build', () => {
  test('writes one folder a function and tells what it wrote', async () => {
    const result = await cli(['build', '--out', 'out', '--json', 'good'], { cwd: folder })
    expect(result).toMatchObject({ exit: 0, stderr: '' })
    const built = JSON.parse(result.stdout) as {
      functions: { name: string; files: { path: string; bytes: number }[] }[]
    }
    expect(built.functions).toMatchObject([{ name: 'hello', provider: 'lambda' }])
    expect(await readdir(join(folder, 'out'))).toEqual(['hello'])
    expect(built.functions[0]?.files.every(({ bytes }) => bytes > 0)).toBe(true)
  })
})

describe('flexi events', () => {
  test('lists the sources, and prints the event of one with values of its own', async () => {
    const listed = await cli(['events'])
    expect(listed).toMatchObject({ exit: 0, stderr: '' })
    expect(listed.stdout).toMatch(/^SOURCE +PROVIDER +WHAT IT SENDS\n/)
    const sources = JSON.parse((await cli(['events', '--json'])).stdout) as { source: string }[]
    expect(sources.map(({ source }) => source)).toContain('aws:sqs')
    const event = await cli(['events', '--set', 'body=from a test', 'aws:sqs'])
    expect(JSON.stringify(JSON.parse(event.stdout))).toContain('from a test')
  })

  test('suggests the source that was meant', async () => {
    const result = await cli(['events', 'aws:sqss'])
    expect(result).toMatchObject({ exit: 66, stdout: '' })
    expect(result.stderr).toContain('aws:sqs')
  })
})
