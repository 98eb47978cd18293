import { join } from 'node:path'

import { describe, expect, test } from 'vitest'

import { readProject, type ReadProjectOptions } from '../../src/config/project.ts'
import { FlexiError } from '../../src/core/errors.ts'
import { formatFault, type AbsolutePath } from '../../src/core/place.ts'
import type { Project } from '../../src/core/project.ts'
import { emulators, folder } from './fakes.ts'

type Files = Readonly<Record<string, string>>

async function read(files: Files, options: Partial<ReadProjectOptions> = {}): Promise<Project> {
  return readProject({ directory: await folder(files), emulators, environment: {}, ...options })
}

async function failure(files: Files, options: Partial<ReadProjectOptions> = {}): Promise<FlexiError> {
  const error = await read(files, options).catch((caught: unknown) => caught)
  if (error instanceof FlexiError) return error
  throw new Error('the project was read', { cause: error })
}

const targets = (project: Project) => project.routes.map(({ pattern, target }) => [pattern, target])
const names = (project: Project) => project.functions.map(({ name }) => name)

describe('how a function runs once it is deployed', () => {
  test('is what its "deploy" says, in milliseconds and MiB, and no option of its provider', async () => {
    const project = await read({
      'flexi.jsonc':
        '{"functions":{"a":{"provider":"lambda","handler":"a.h","deploy":{"network":"none","min":1,"idle":90,"health":"/up","temporary":8}}}}',
    })
    const [config] = project.functions
    expect(config?.deploy).toEqual({
      network: 'none',
      min: 1,
      idleMs: 90_000,
      health: '/up',
      temporaryMb: 8,
    })
    expect(config?.options).toEqual({ handler: 'a.h' })
  })

  test('what it cannot be is a fault at its place', async () => {
    const { faults } = await failure({
      'flexi.jsonc':
        '{"functions":{"a":{"provider":"lambda","handler":"a.h","deploy":{"network":"lan","min":-1,"nax":2}}}}',
    })
    expect(faults.map(({ message }) => message).join('\n')).toMatch(
      /"egress", "none" or "host"[^]*whole number of instances, 0 or more[^]*nax/,
    )
  })
})

describe('proxy.ini', () => {
  test('leads to libraries, handlers, Workers, functions, folders and upstreams, told apart by shape', async () => {
    const project = await read({
      'proxy.ini': [
        '/lib = build/libfib.so',
        '/abs = /usr/lib/missing.so',
        '/ts = ./src/hello.ts',
        '/py = src/jobs.main',
        '/edge = ./edge/',
        '/bare = edge',
        '/named = named@live',
        '/up = http://127.0.0.1:3000',
        '/more = http://a:1/ https://B.example/base/  HTTP://[::1]:3',
        '/public = ./public/',
        '/site = site',
        '/dist = ./dist/',
      ].join('\n'),
      'src/hello.ts': '',
      'src/jobs.py': '',
      'edge/wrangler.fake': 'edge-worker',
      'public/': '',
      'site/': '',
      'flexi.jsonc': '{"functions":{"named":{"provider":"lambda","handler":"n.h"}}}',
    })
    const { directory } = project
    expect(targets(project)).toEqual([
      ['/lib', { kind: 'function', name: 'fib' }],
      ['/abs', { kind: 'function', name: 'missing' }],
      ['/ts', { kind: 'function', name: 'hello' }],
      ['/py', { kind: 'function', name: 'jobs' }],
      ['/edge', { kind: 'function', name: 'edge' }],
      ['/bare', { kind: 'function', name: 'edge' }],
      ['/named', { kind: 'function', name: 'named' }],
      ['/up', { kind: 'upstream', origins: [{ url: 'http://127.0.0.1:3000' }] }],
      [
        '/more',
        {
          kind: 'upstream',
          origins: [{ url: 'http://a:1' }, { url: 'https://b.example/base' }, { url: 'http://[::1]:3' }],
        },
      ],
      ['/public', { kind: 'static', directory: join(directory, 'public') }],
      ['/site', { kind: 'static', directory: join(directory, 'site') }],
      ['/dist', { kind: 'static', directory: join(directory, 'dist') }],
    ])
    expect(names(project)).toEqual(['named', 'fib', 'missing', 'hello', 'jobs', 'edge'])
    expect(project.functions.find(({ name }) => name === 'fib')).toMatchObject({
      provider: 'native',
      directory,
      options: { library: 'build/libfib.so' },
      origin: { file: 'proxy.ini', line: 1, column: 8 },
    })
    expect(project.faults.map(formatFault)).toEqual([
      'proxy.ini:12:9  there is no folder "./dist/" yet\n' +
        '  12 | /dist = ./dist/\n' +
        '     |         ^\n' +
        '  Build it, or mend its name; until then every request gets 404.',
    ])
  })

  test('makes one function of one library, however often and however it is named', async () => {
    const project = await read({
      'proxy.ini': '/c = ./libfib.so\nHost: iam / = libfib.so\n/ = x/../libfib.so',
    })
    expect(names(project)).toEqual(['fib'])
    expect(targets(project).map(([, target]) => target)).toEqual(
      Array(3).fill({ kind: 'function', name: 'fib' }),
    )
  })

  test('makes names of their own for different files of one name', async () => {
    const project = await read({
      'proxy.ini': '/a = a/libfib.so\n/b = b/libfib.so\n/c = 9 lives.so\n/d = fib',
    })
    expect(names(project)).toEqual(['fib', 'fib-2', 'f-9-lives'])
    expect(targets(project).at(-1)).toEqual(['/d', { kind: 'function', name: 'fib' }])
  })

  test('means a declared function when it names the same code', async () => {
    const project = await read({
      'proxy.ini': '/ = ./build/libfib.so',
      'flexi.jsonc': '{"functions":{"sums":{"provider":"native","library":"build/libfib.so","timeout":1}}}',
    })
    expect(names(project)).toEqual(['sums'])
    expect(targets(project)).toEqual([['/', { kind: 'function', name: 'sums' }]])
  })

  test('keeps the entries that never match or have no target in their place, as FlexiLib does', async () => {
    const project = await read({ 'proxy.ini': 'Host: iam = a.so\n/b =\n/ = a.so' })
    expect(targets(project)).toEqual([
      ['Host: iam', { kind: 'function', name: 'a' }],
      ['/b', { kind: 'upstream', origins: [{ url: 'http://127.0.0.1:0' }] }],
      ['/', { kind: 'function', name: 'a' }],
    ])
    expect(project.faults.map(({ severity }) => severity)).toEqual(['warning', 'warning'])
  })

  test('warns of an entry that an earlier one hides', async () => {
    const project = await read({
      'proxy.ini':
        '/c = a.so\n/cat = b.so\nHost: i /x = a.so\nHost: iam /x/y = a.so\nHost: b / = a.so\n/ = a.so',
      'flexi.jsonc': '{"routes":[{"path":"/","to":"a"}]}',
    })
    expect(project.faults.map(formatFault)).toEqual([
      'flexi.jsonc:1:12  never reached: "/" at proxy.ini:6 takes its requests first\n' +
        '  1 | {"routes":[{"path":"/","to":"a"}]}\n' +
        '    |            ^\n' +
        '  Move the more specific route above the more general one.',
      'proxy.ini:2:1  never reached: "/c" at proxy.ini:1 takes its requests first\n' +
        '  2 | /cat = b.so\n' +
        '    | ^\n' +
        '  Move the more specific route above the more general one.',
      'proxy.ini:4:1  never reached: "Host: i /x" at proxy.ini:3 takes its requests first\n' +
        '  4 | Host: iam /x/y = a.so\n' +
        '    | ^\n' +
        '  Move the more specific route above the more general one.',
    ])
  })

  test('is read alone when asked, as FlexiLib does', async () => {
    const files = { 'proxy.ini': '/ = a.so', 'flexi.jsonc': '{ broken', 'template.fake': 'x' }
    const project = await read(files, { only: 'proxy.ini' })
    expect(names(project)).toEqual(['a'])
    expect(project.files.map((file) => file.split('/').at(-1))).toEqual(['proxy.ini'])
    const error = await failure({ 'flexi.jsonc': '{}' }, { only: 'proxy.ini' })
    expect(error.code).toBe('FLEXI_NO_INPUT')
    expect(error.message).toMatch(/^there is no proxy\.ini in \//)
  })

  test('is read without a byte order mark', async () => {
    expect(targets(await read({ 'proxy.ini': '\uFEFF/a = a.so' }))).toEqual([
      ['/a', { kind: 'function', name: 'a' }],
    ])
  })
})

describe('all files together', () => {
  test('routes come in the order proxy.ini, flexi.jsonc, providers', async () => {
    const project = await read({
      'proxy.ini': '/a = one',
      'flexi.jsonc':
        '{"functions":{"one":{"provider":"lambda"}},"routes":[{"path":"/b","to":"one"},{"header":"Host: iam","path":"/","to":"two"}]}',
      'template.fake': 'two GET /t/{id}',
    })
    expect(project.routes.map(({ pattern }) => pattern)).toEqual(['/a', '/b', 'Host: iam /', 'GET /t/{id}'])
    expect(project.routes[2]?.matcher).toEqual({
      kind: 'path',
      path: '/',
      field: { name: 'host', valuePrefix: 'iam' },
    })
    expect(names(project)).toEqual(['one', 'two'])
    expect(project.files.map((file) => file.slice(project.directory.length + 1))).toEqual([
      'flexi.jsonc',
      'proxy.ini',
      'template.fake',
    ])
  })

  test('one function without a route is served at the root', async () => {
    expect(targets(await read({ 'wrangler.fake': 'edge' }))).toEqual([
      ['/', { kind: 'function', name: 'edge' }],
    ])
    expect(targets(await read({ 'template.fake': 'a\nb' }))).toEqual([])
    expect(targets(await read({ 'template.fake': 'a GET /x' }))).toHaveLength(1)
  })

  test('flexi.jsonc wins over a provider file by name', async () => {
    const project = await read({
      'flexi.jsonc': '{"functions":{"two":{"provider":"lambda","handler":"mine.handler"}}}',
      'template.fake': 'one\ntwo GET /two',
    })
    expect(project.functions.map(({ name, options }) => [name, options['handler']])).toEqual([
      ['two', 'mine.handler'],
      ['one', 'one.handler'],
    ])
    expect(targets(project)).toEqual([['GET /two', { kind: 'function', name: 'two' }]])
  })

  test('a function of flexi.jsonc that names no code changes what a provider file says of it', async () => {
    const project = await read({
      'flexi.jsonc':
        '{"functions":{"two":{"provider":"lambda","timeout":9,"environment":{"A":"mine"},"layers":["x"]}}}',
      'template.fake': 'one\ntwo GET /two',
    })
    expect(project.functions).toMatchObject([
      {
        name: 'two',
        timeoutMs: 9000,
        environment: { A: 'mine', FROM: 'template' },
        options: { handler: 'two.handler', layers: ['x'] },
      },
      { name: 'one', environment: { FROM: 'template' } },
    ])
    expect(targets(project)).toEqual([['GET /two', { kind: 'function', name: 'two' }]])
  })

  test('a function that names a provider file takes the place of what that file defines', async () => {
    const project = await read({
      'flexi.jsonc': '{"functions":{"edge":{"provider":"workers","config":"./wrangler.fake"}}}',
      'wrangler.fake': 'my-worker',
    })
    expect(names(project)).toEqual(['edge'])
    expect(targets(project)).toEqual([['/', { kind: 'function', name: 'edge' }]])
  })

  test('two functions of one name are a fault with both places', async () => {
    const error = await failure({ 'template.fake': 'one\none', 'wrangler.fake': 'one' })
    expect(error.faults.map(formatFault)).toEqual([
      'template.fake:2:1  the function "one" is already defined at template.fake:1:1\n  Rename one of the two.',
      'wrangler.fake:1:1  the function "one" is already defined at template.fake:1:1\n  Rename one of the two.',
    ])
  })

  test('hands the environment to the providers', async () => {
    const project = await read({ 'template.fake': 'one' }, { environment: { STAGE: 'beta' } })
    expect(project.functions[0]?.environment).toEqual({ FROM: 'template', STAGE: 'beta' })
  })

  test('cannot be changed by who holds it', async () => {
    const project = await read({ 'template.fake': 'one' })
    expect(
      Object.isFrozen(project) && Object.isFrozen(project.routes) && Object.isFrozen(project.functions),
    ).toBe(true)
    expect(project.functions.every((config) => Object.isFrozen(config))).toBe(true)
  })
})

describe('environment', () => {
  const FLEXI = `{ "functions": {
    "one": { "provider": "lambda", "env_file": "one.env", "environment": { "B": "written" } },
    "two": { "provider": "native" },
    "edge": { "provider": "workers" } } }`

  test('env_file gives variables to its function, and "environment" wins over it', async () => {
    const project = await read({ 'flexi.jsonc': FLEXI, 'one.env': '# c\nA="a b"\nB=file\n', '.env': 'X=1' })
    expect(project.functions.map(({ environment }) => environment)).toEqual([
      { A: 'a b', B: 'written' },
      {},
      {},
    ])
    expect(project.files.map((file) => file.split('/').at(-1))).toEqual(['flexi.jsonc', 'one.env'])
  })

  test('--env-file gives variables to all but Workers, and wins over every file', async () => {
    const directory = await folder({
      'flexi.jsonc': FLEXI,
      'one.env': 'A=a',
      'all.env': 'B=flag\nC=c',
      'template.fake': 't',
    })
    const envFile = join(directory, 'all.env') as AbsolutePath
    const project = await readProject({ directory, emulators, environment: {}, envFile })
    expect(project.functions.map(({ environment }) => environment)).toEqual([
      { A: 'a', B: 'flag', C: 'c' },
      { B: 'flag', C: 'c' },
      {},
      { B: 'flag', C: 'c', FROM: 'template' },
    ])
    expect(project.files).toContain(envFile)
  })

  test('a file that is not there is a fault, or no input when a flag names it', async () => {
    const error = await failure({ 'flexi.jsonc': FLEXI })
    expect(error.faults.map(formatFault)).toEqual([
      'flexi.jsonc:2:48  there is no file "one.env"\n' +
        '  2 |     "one": { "provider": "lambda", "env_file": "one.env", "environment": { "B": "written" } },\n' +
        '    |                                                ^\n' +
        '  Make it, or remove "env_file".',
    ])
    const missing = await failure({ 'template.fake': 'a' }, { envFile: '/nowhere/x.env' as AbsolutePath })
    expect(missing).toMatchObject({ code: 'FLEXI_NO_INPUT', message: 'there is no file /nowhere/x.env' })
  })
})

describe('what is wrong', () => {
  test('comes all at once, from all files, in the order of their lines', async () => {
    const error = await failure({
      'proxy.ini': [
        '[routes]',
        '/a = helo',
        '/b = ./src/helo.ts',
        '/c = ftp://host',
        '/d = localhost:3000',
        '/e = http://u:p@host http://x?y ./z',
        '/f = src/hello.txt',
        '/a = hello',
        '/g = nowhere/x.handler',
      ].join('\r\n'),
      'src/hello.ts': '',
      'src/hello.txt': '',
      'flexi.jsonc': `{
  "functions": {
    "hello": { "provider": "lamda" },
    "edge": { "provider": "cloudflare" },
    "2nd": { "provider": "lambda", "timeout": "3" },
    "late": { "timeout": 0, "environment": { "A-B": "x", "N": 1 } }
  },
  "route": [],
  "routes": [
    { "path": "api", "to": "hello" },
    { "path": "/ok", "to": "helo" },
    { "path": "/late", "to": "late" },
    { "paths": "/x", "to": [] },
    { "path": "/two", "to": ["./a/", "http://b"] }
  ],
  "server": { "port": 70000, "hots": "0.0.0.0" }
}
`,
      'template.fake': 'fine\n!bad handler',
      'wrangler.fake': 'broken',
    })
    expect(error).toMatchObject({ code: 'FLEXI_CONFIG', oclif: { exit: 78 } })
    expect(error.message).toMatchInlineSnapshot(`
      "26 faults in the configuration

      flexi.jsonc:3:28  unknown provider "lamda"
        3 |     "hello": { "provider": "lamda" },
          |                            ^
        Did you mean "lambda"?

      flexi.jsonc:4:27  unknown provider "cloudflare"
        4 |     "edge": { "provider": "cloudflare" },
          |                           ^
        Write one of lambda, workers, native.

      flexi.jsonc:5:5  "2nd" is no name: write letters, digits, "-" and "_", a letter first
        5 |     "2nd": { "provider": "lambda", "timeout": "3" },
          |     ^

      flexi.jsonc:6:13  "provider" is missing
        6 |     "late": { "timeout": 0, "environment": { "A-B": "x", "N": 1 } }
          |             ^
        Add "provider": it must be a string.

      flexi.jsonc:6:26  "timeout" must be a number of seconds above 0, not 0
        6 |     "late": { "timeout": 0, "environment": { "A-B": "x", "N": 1 } }
          |                          ^

      flexi.jsonc:6:46  "A-B" is no name of a variable: write letters, digits and "_"
        6 |     "late": { "timeout": 0, "environment": { "A-B": "x", "N": 1 } }
          |                                              ^

      flexi.jsonc:6:63  "N" must be a string, not 1
        6 |     "late": { "timeout": 0, "environment": { "A-B": "x", "N": 1 } }
          |                                                               ^

      flexi.jsonc:8:3  unknown key "route"
        8 |   "route": [],
          |   ^
        Did you mean "routes"?

      flexi.jsonc:10:15  "path" must be a path: a "/" first, and no space, "?" or "#", not "api"
        10 |     { "path": "api", "to": "hello" },
           |               ^

      flexi.jsonc:13:5  "path" is missing
        13 |     { "paths": "/x", "to": [] },
           |     ^
        Add "path": it must be a path that starts with "/".

      flexi.jsonc:13:7  unknown key "paths"
        13 |     { "paths": "/x", "to": [] },
           |       ^
        Did you mean "path"?

      flexi.jsonc:13:28  "to" must be a target, or a list of upstreams, not []
        13 |     { "paths": "/x", "to": [] },
           |                            ^

      flexi.jsonc:14:29  only upstreams can share a route
        14 |     { "path": "/two", "to": ["./a/", "http://b"] }
           |                             ^
        Name one target, or several addresses that start with http:// or https://.

      flexi.jsonc:16:23  "port" must be a whole number from 0 to 65535, not 70000
        16 |   "server": { "port": 70000, "hots": "0.0.0.0" }
           |                       ^

      flexi.jsonc:16:30  unknown key "hots"
        16 |   "server": { "port": 70000, "hots": "0.0.0.0" }
           |                              ^
        Did you mean "host"?

      proxy.ini:1:1  no value for the key "[routes]"
        1 | [routes]
          | ^
        Write "key = target". proxy.ini has no sections.

      proxy.ini:3:6  there is no file or folder "./src/helo.ts"
        3 | /b = ./src/helo.ts
          |      ^
        Did you mean "./src/hello.ts"?

      proxy.ini:4:6  "ftp://host" is no address of an upstream
        4 | /c = ftp://host
          |      ^
        Write every address as http://host:port or https://host:port, with a space between.

      proxy.ini:5:6  there is no file or folder "localhost:3000"
        5 | /d = localhost:3000
          |      ^
        Write http://localhost:3000 for an upstream.

      proxy.ini:6:6  "http://u:p@host" holds a user or a password
        6 | /e = http://u:p@host http://x?y ./z
          |      ^
        Remove what stands before the "@".

      proxy.ini:6:6  "http://x?y" has a query
        6 | /e = http://u:p@host http://x?y ./z
          |      ^
        Write scheme, host, port and path only.

      proxy.ini:6:6  "./z" is no address of an upstream
        6 | /e = http://u:p@host http://x?y ./z
          |      ^
        Write every address as http://host:port or https://host:port, with a space between.

      proxy.ini:8:1  the key "/a" is already on line 2
        8 | /a = hello
          | ^
        Remove one of the two lines.

      proxy.ini:9:6  there is no file or folder "nowhere/x.handler"
        9 | /g = nowhere/x.handler
          |      ^
        Mend the path: there is no folder "nowhere".

      template.fake:2:1  bad

      wrangler.fake:1:1  broken"
    `)
  })

  test('shows every syntax error of flexi.jsonc', async () => {
    const error = await failure({
      'flexi.jsonc': `{
  // a comment, which is fine
  "functions": {
    "a": { "provider": "lambda" } // no comma
    "b": { "provider": "lambda" },
  },
  "routes": [ { "path": "/", "to": nothing } ],
  "server": { "host": "unfinished }
}`,
      'proxy.ini': '/x = could-be-in-flexi-jsonc',
    })
    expect(error.message).toMatchInlineSnapshot(`
      "3 faults in the configuration

      flexi.jsonc:4:34  a comma is missing
        4 |     "a": { "provider": "lambda" } // no comma
          |                                  ^
        Put a comma here.

      flexi.jsonc:7:36  this is no JSON value
        7 |   "routes": [ { "path": "/", "to": nothing } ],
          |                                    ^
        Write strings and keys in double quotes.

      flexi.jsonc:8:23  the string does not end on its line
        8 |   "server": { "host": "unfinished }
          |                       ^
        Close it with a quote."
    `)
  })

  test.each([
    ['', /^1 fault .*\n\nflexi\.jsonc:1:1 {2}a value is expected/],
    ['[]', /flexi\.jsonc:1:1 {2}the file must be an object, not \[\]/],
    ['{} {}', /flexi\.jsonc:1:4 {2}the file goes on after its end/],
    [
      '{"functions":{"a":{"provider":"lambda"},"a":{"provider":"lambda"}}}',
      /1:41 {2}the key "a" is already on line 1/,
    ],
    ['{"functions":[]}', /1:14 {2}"functions" must be an object of functions by name, not \[\]/],
    ['{"functions":{"a":1}}', /1:19 {2}"a" must be an object, not 1/],
    ['{"routes":[1]}', /1:12 {2}routes\[0\] must be an object with "path" and "to", not 1/],
    ['{"x":{}}', /1:2 {2}unknown key "x"[^]*Keys here are \$schema, functions, routes, server\./],
  ])('names the place in %s', async (text, message) => {
    expect((await failure({ 'flexi.jsonc': text })).message).toMatch(message)
  })

  test('does not call a function unknown that a file with faults may define', async () => {
    const inTemplate = await failure({ 'proxy.ini': '/ = one', 'template.fake': '!bad' })
    expect(inTemplate.faults.map(({ message }) => message)).toEqual(['bad'])
    const inFlexi = await failure({ 'proxy.ini': '/ = one', 'flexi.jsonc': '{"functions":{"one":{}}}' })
    expect(inFlexi.faults.map(({ message }) => message)).toEqual(['"provider" is missing'])
  })

  test('a configuration file that is a folder is a fault', async () => {
    const error = await failure({ 'proxy.ini/': '', 'flexi.json': '{"x":1}' })
    expect(error.faults.map(({ place }) => place.file)).toEqual(['flexi.json', 'proxy.ini'])
  })

  test('a bug of a provider is no fault of the user', async () => {
    const lambda = { ...emulators['lambda'], detect: () => Promise.reject(new TypeError('bug')) }
    const reading = read({}, { emulators: { lambda } as unknown as typeof emulators })
    await expect(reading).rejects.toThrow(TypeError)
  })
})

describe('nothing to serve', () => {
  test('names the folder, what was looked for, and what to do', async () => {
    const error = await failure({ 'README.md': '' })
    expect(error).toMatchObject({ code: 'FLEXI_NO_INPUT', oclif: { exit: 66 } })
    expect(error.message).toMatch(
      /^nothing to serve in \/.*: looked for flexi\.jsonc, .*proxy\.ini, wrangler/,
    )
    expect(error.hint).toContain('flexi new')
  })

  test('names the files that define nothing', async () => {
    const error = await failure({ 'flexi.jsonc': '{}', 'proxy.ini': '# later' })
    expect(error.message).toMatch(
      /^nothing to serve in \S+: no route or function in flexi\.jsonc, proxy\.ini$/,
    )
  })

  test('tells a folder that is not there from a file', async () => {
    const directory = await folder({ 'a.txt': '' })
    const readIn = (path: string) =>
      readProject({ directory: join(directory, path) as AbsolutePath, emulators, environment: {} })
    await expect(readIn('b')).rejects.toThrow(/^there is no folder /)
    await expect(readIn('a.txt')).rejects.toThrow(/ is a file$/)
  })
})

describe('flexi.jsonc', () => {
  test('hands what it does not know to the provider, and keeps paths relative to the folder', async () => {
    const project = await read({
      'flexi.jsonc': `{
        "$schema": "./node_modules/flexi/flexi.schema.json",
        "functions": { "fib": { "provider": "native", "library": "build/libfib.so", "build": "make",
          "watch": ["src/**/*.c"], "abi": 2, "timeout": 1.5, "memory": 128, "environment": { "A": "b" } } },
        "server": { "port": 3000, "host": "::1" },
      }`,
    })
    expect(project.functions).toEqual([
      {
        name: 'fib',
        provider: 'native',
        directory: project.directory,
        origin: { file: 'flexi.jsonc', line: 3, column: 24 },
        placeOf: expect.any(Function) as () => unknown,
        environment: { A: 'b' },
        timeoutMs: 1500,
        memoryMb: 128,
        options: { library: 'build/libfib.so', build: 'make', watch: ['src/**/*.c'], abi: 2 },
      },
    ])
    expect(project.server).toEqual({ port: 3000, host: '::1' })
  })

  test('another file can be named, whose paths start in the folder all the same', async () => {
    const directory = await folder({
      'flexi.jsonc': '{ broken',
      'conf/ci.jsonc': '{"routes":[{"path":"/","to":"./public"}]}',
      'public/': '',
    })
    const configFile = join(directory, 'conf/ci.jsonc') as AbsolutePath
    const project = await readProject({ directory, emulators, environment: {}, configFile })
    expect(targets(project)).toEqual([['/', { kind: 'static', directory: join(directory, 'public') }]])
    expect(project.routes[0]?.origin).toMatchObject({ file: 'conf/ci.jsonc' })
    const missing = join(directory, 'no.jsonc') as AbsolutePath
    await expect(
      readProject({ directory, emulators, environment: {}, configFile: missing }),
    ).rejects.toMatchObject({
      code: 'FLEXI_NO_INPUT',
    })
  })

  test('is preferred to flexi.json, which is told', async () => {
    const project = await read({
      'flexi.jsonc': '{"routes":[{"path":"/","to":"http://a"}]}',
      'flexi.json': '{"routes":[{"path":"/","to":"http://b"}]}',
    })
    expect(targets(project)).toEqual([['/', { kind: 'upstream', origins: [{ url: 'http://a' }] }]])
    expect(project.faults.map(({ message }) => message)).toEqual(['not read, because there is a flexi.jsonc'])
  })
})
