import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect as connectHttp2 } from 'node:http2'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'

import { afterAll, beforeAll, expect, test } from 'vitest'

import { makeFiles } from '../tls/pem.ts'
import { cli } from '../commands/cli.ts'
import { startFlexi } from './flexi-process.ts'

const root = mkdtempSync(join(tmpdir(), 'flexi-https-app-'))
const project = join(root, 'project')
const environment = { FLEXI_CA_DIR: join(root, 'ca') }
afterAll(() => rmSync(root, { recursive: true, force: true }))

const HANDLER = `export const handler = async ({ rawPath, headers }) => ({ path: rawPath, proto: headers['x-forwarded-proto'] })\n`

function configure(server: unknown = {}): void {
  writeFileSync(
    join(project, 'flexi.jsonc'),
    JSON.stringify({
      server,
      functions: { hello: { provider: 'lambda', handler: 'hello.handler' } },
      routes: [
        { path: '/static', to: './public/' },
        { path: '/', to: 'hello' },
      ],
    }),
  )
}

beforeAll(() => {
  mkdirSync(join(project, 'public'), { recursive: true })
  writeFileSync(join(project, 'hello.mjs'), HANDLER)
  writeFileSync(join(project, 'public/a.txt'), 'static')
  configure()
})

interface Answer {
  readonly status: number
  readonly body: string
}

async function askHttp2(url: string, path: string, ca: string, host = 'localhost'): Promise<Answer> {
  const { port } = new URL(url)
  const session = connectHttp2(`https://${host}:${port}`, {
    createConnection: () =>
      connectTls({ host: '127.0.0.1', port: Number(port), servername: host, ca, ALPNProtocols: ['h2'] }),
  })
  try {
    const stream = session.request({ ':path': path })
    const [headers] = (await once(stream, 'response')) as [{ ':status'?: number }]
    let body = ''
    for await (const chunk of stream.setEncoding('utf8')) body += String(chunk)
    return { status: headers[':status'] ?? 0, body }
  } finally {
    session.destroy()
  }
}

function shownNames(url: string): Promise<string | undefined> {
  const socket = connectTls({ host: '127.0.0.1', port: Number(new URL(url).port), rejectUnauthorized: false })
  return new Promise((resolve, reject) => {
    socket.on('error', reject).once('secureConnect', () => {
      resolve(socket.getPeerCertificate().subjectaltname)
      socket.destroy()
    })
  })
}

test('flexi dev --https serves everything over HTTP/2, and says once how to trust it', async () => {
  await using flexi = await startFlexi(project, ['--https'], environment)
  expect(flexi.url).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/)
  const { functions } = await flexi.event('ready')
  expect(functions[0]?.url).toBe(`${flexi.url}/_flexi/f/hello/`)
  const { file, hints } = await flexi.event('authority')
  expect(file).toBe(join(root, 'ca/ca.pem'))
  expect(hints.map(({ line }) => line)).toContain(`curl --cacert ${file} ${flexi.url}/`)
  const ca = readFileSync(file, 'utf8')
  expect(JSON.parse((await askHttp2(flexi.url, '/x', ca)).body)).toEqual({ path: '/x', proto: 'https' })
  expect(await askHttp2(flexi.url, '/static/a.txt', ca)).toEqual({ status: 200, body: 'static' })
  expect(JSON.parse((await askHttp2(flexi.url, '/own', ca, 'hello.localhost')).body)).toMatchObject({
    path: '/own',
  })
  expect(await askHttp2(flexi.url, '/_flexi/healthz', ca)).toEqual({ status: 200, body: '{"status":"ok"}' })
  const request = await flexi.event('request', ({ target }) => target === '/static/a.txt')
  expect(request).toMatchObject({ httpVersion: '2.0', status: 200 })
}, 30_000)

test('the second time nothing is made and nothing said, and --no-https wins over the configuration', async () => {
  configure({ https: true })
  const before = readFileSync(join(root, 'ca/ca.pem'), 'utf8')
  {
    await using flexi = await startFlexi(project, [], environment)
    expect(flexi.url).toMatch(/^https:/)
    expect((await askHttp2(flexi.url, '/x', before)).status).toBe(200)
    expect(flexi.events.some(({ event }) => event === 'authority')).toBe(false)
  }
  await using plain = await startFlexi(project, ['--no-https'], environment)
  expect(plain.url).toMatch(/^http:/)
  configure()
}, 30_000)

test('own certificates are served, and a renewed one as soon as it is saved', async () => {
  const pki = join(project, 'pki')
  await makeFiles(pki, 'own', { names: ['own.test'] })
  configure({ https: { certificates: [{ cert: 'pki/own.pem', key: 'pki/own.key' }] } })
  await using flexi = await startFlexi(project, [], environment)
  expect(await shownNames(flexi.url)).toBe('DNS:own.test')
  await makeFiles(pki, 'own', { names: ['own.test', 'renewed.test'] })
  await expect.poll(() => shownNames(flexi.url), { timeout: 5_000 }).toBe('DNS:own.test, DNS:renewed.test')
  flexi.forget()
  writeFileSync(join(pki, 'own.key'), 'broken')
  const { message } = await flexi.event('error')
  expect(message).toContain('the file holds no private key')
  expect(await shownNames(flexi.url)).toBe('DNS:own.test, DNS:renewed.test')
}, 30_000)

test('certificates that cannot be served stop the start, and are faults for flexi check too, where flexi.jsonc names them', async () => {
  await makeFiles(join(project, 'pki'), 'old', { names: ['old.test'], days: [-3, -1] })
  writeFileSync(join(project, 'pki/old.key'), 'no key')
  configure({ https: { certificates: [{ cert: 'pki/old.pem', key: 'pki/old.key' }] } })
  for (const command of [['check'], ['dev', '--port', '0']]) {
    const { exit, stderr } = await cli([...command, project], { environment })
    expect(exit).toBe(78)
    expect(stderr).toMatch(
      /flexi\.jsonc:1:\d+ +"pki\/old\.pem": the certificate ended on .*\n.*\n.*\n +Renew it/,
    )
    expect(stderr).toMatch(/flexi\.jsonc:1:\d+ +"pki\/old\.key": the file holds no private key/)
  }
}, 30_000)

test('a certificate that ends soon is said once at the start, and by flexi check', async () => {
  await makeFiles(join(project, 'pki'), 'soon', { names: ['soon.test'], days: [-1, 3.5] })
  configure({ https: { certificates: [{ cert: 'pki/soon.pem', key: 'pki/soon.key' }] } })
  const { exit, stdout } = await cli(['check', project], { environment })
  expect(exit).toBe(0)
  expect(stdout).toContain('"pki/soon.pem": the certificate ends in 3 days')
  await using flexi = await startFlexi(project, [], environment)
  const warnings = flexi.events.filter(({ event }) => event === 'warning')
  expect(warnings).toEqual([
    expect.objectContaining({ message: expect.stringMatching(/^flexi\.jsonc:1:\d+ .*ends in 3 days/) }),
  ])
}, 30_000)

test('without https nothing of TLS certificates, HTTP/2 or x509 is loaded', () => {
  const script = `
    const { startApp } = await import(${JSON.stringify(join(import.meta.dirname, '../../dist/app.js'))})
    const app = await startApp({ directory: process.argv[1], mode: 'serve', port: 0, portIsFixed: true, https: false,
      environment: {}, watch: false, startedAt: 0, onEvent: () => undefined })
    const loaded = process.moduleLoadList.filter((name) => /^NativeModule (internal\\/)?http2/.test(name))
    console.log(JSON.stringify({ loaded, decorated: 'defineMetadata' in Reflect }))
    await app[Symbol.asyncDispose]()
    process.exit()`
  configure()
  const words = ['--input-type=module', '-e', script, project]
  const text = execFileSync(process.execPath, words, { encoding: 'utf8' })
  expect(JSON.parse(text)).toEqual({ loaded: [], decorated: false })
})
