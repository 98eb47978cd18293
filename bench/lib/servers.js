import { execFileSync } from 'node:child_process'
import { copyFileSync, existsSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'

import { flexiDev, missingFlexi, QUIET } from './flexi-command.js'
import { benchRoot, findProgram, peerProgram, peersRoot, projectRoot } from './places.js'
import { PROXIES } from './proxies.js'
import { RUNTIMES } from './runtimes.js'
import { scratchCopy, scratchFolder } from './scratch.js'

/*
 * Everything that is measured. Each entry says
 *   label      what the tables call it
 *   missing()  why it cannot run here, or undefined
 *   prepare()  makes its folder, once
 *   start({ folder, port, morePorts, profile, upstream })  the command that serves on the port, and may take more; a proxy asks `upstream`
 *   body       what it must answer to GET /
 *   save(folder, n, upstream)  changes the code and returns the body that shows it, where it reloads
 */

const LAMBDA_BODY = '{"ok":true}'
const TEXT_BODY = 'hello'
const app = (name) => join(benchRoot, 'apps', name)

const flexi = { missing: missingFlexi, start: (where) => flexiDev(where) }

const serverlessOffline = {
  missing: () => missingPeer('osls'),
  body: LAMBDA_BODY,
  prepare: () => {
    const folder = scratchCopy('serverless-offline', app('lambda-offline'))
    symlinkSync(join(peersRoot, 'node_modules'), join(folder, 'node_modules'))
    return folder
  },
}

function offlineCommand({ folder, port, morePorts }, ...flags) {
  const [lambda, websocket, alb] = morePorts
  const ports = ['--httpPort', port, '--lambdaPort', lambda, '--websocketPort', websocket, '--albPort', alb]
  return {
    command: peerProgram('osls'),
    args: ['offline', 'start', '--host', '127.0.0.1', ...ports.map(String), ...flags],
    cwd: folder,
    // It keeps artifacts in the user's home; those of this run go with its folder.
    env: { SLS_NOTIFICATIONS_MODE: 'off', SLS_TELEMETRY_DISABLED: '1', HOME: join(folder, '.home') },
  }
}

function plain(label, script, body) {
  return {
    label,
    body,
    missing: () => undefined,
    prepare: () => scratchFolder('plain'),
    start: ({ folder, port }) => ({
      command: process.execPath,
      args: [join(app('plain'), script), String(port), body],
      cwd: folder,
    }),
  }
}

function nginx(body) {
  return {
    label: 'nginx, static answer, one worker',
    body,
    missing: () => (findProgram('nginx') === undefined ? 'nginx is not on this machine' : undefined),
    prepare: () => scratchFolder('nginx'),
    start: ({ folder, port }) => {
      const config = readFileSync(join(app('plain'), 'nginx.conf'), 'utf8')
      writeFileSync(join(folder, 'nginx.conf'), config.replace('PORT', String(port)).replace('BODY', body))
      return { command: findProgram('nginx'), args: ['-p', folder, '-c', 'nginx.conf'], cwd: folder }
    },
  }
}

/** A daemon to which the Lambda app was deployed: it answers by its host name. */
function daemon(label, sandbox) {
  return {
    label,
    body: LAMBDA_BODY,
    host: 'hello.localhost',
    missing: () =>
      missingFlexi() ??
      (sandbox === 'bwrap' && findProgram('bwrap') === undefined
        ? 'bubblewrap is not on this machine'
        : undefined),
    prepare: () => scratchCopy('lambda', app('lambda')),
    start: ({ folder, port }) => ({
      command: process.execPath,
      args: [join(benchRoot, 'lib', 'deployed.js'), folder, String(port), sandbox],
      cwd: folder,
    }),
  }
}

export const SERVERS = {
  'flexi-lambda': {
    ...flexi,
    label: 'flexi dev, Lambda (TypeScript)',
    body: LAMBDA_BODY,
    prepare: () => scratchCopy('lambda', app('lambda')),
    save: (folder, n) => saveHandler(join(folder, 'src', 'hello.ts'), 'export const handler', n),
  },
  'flexi-daemon': daemon('flexi daemon, the same Lambda deployed', 'none'),
  'flexi-daemon-sandbox': daemon('flexi daemon, the same Lambda deployed, in its sandbox', 'bwrap'),
  'flexi-workers': {
    ...flexi,
    label: 'flexi dev, Worker',
    body: TEXT_BODY,
    prepare: () => scratchCopy('workers', app('workers')),
    save: saveWorker,
  },
  'flexi-workers-bound': {
    ...flexi,
    label: 'flexi dev, Worker with KV, D1 and a Durable Object',
    body: TEXT_BODY,
    prepare: () => scratchCopy('workers-bound', app('workers-bound')),
    save: saveBoundWorker,
  },
  'flexi-native': {
    ...flexi,
    label: 'flexi dev, native library (C)',
    body: TEXT_BODY,
    missing: () => flexi.missing() ?? missingForNative(),
    prepare: prepareNative,
    save: (folder, n) => {
      copyFileSync(join(folder, `prebuilt${n % 2}.so`), join(folder, 'libhello.so'))
      return `${TEXT_BODY} ${n % 2}`
    },
  },
  'flexi-native-process': quietNative('process'),
  'flexi-native-none': quietNative('none'),
  'serverless-offline': {
    ...serverlessOffline,
    label: 'serverless-offline 14.8.2, default',
    start: offlineCommand,
  },
  'serverless-offline-in-process': {
    ...serverlessOffline,
    label: 'serverless-offline --useInProcess',
    start: (where) => offlineCommand(where, '--useInProcess'),
  },
  'serverless-offline-reload': {
    ...serverlessOffline,
    label: 'serverless-offline --reloadHandler',
    start: (where) => offlineCommand(where, '--reloadHandler'),
    save: (folder, n) => saveHandler(join(folder, 'hello.js'), 'exports.handler', n),
  },
  'lambda-local': {
    label: 'lambda-local 2.2.0 --watch',
    body: LAMBDA_BODY,
    missing: () => missingPeer('lambda-local'),
    prepare: () => scratchCopy('lambda-local', app('lambda-offline')),
    start: ({ folder, port }) => ({
      command: peerProgram('lambda-local'),
      args: ['-l', 'hello.js', '-h', 'handler', '--watch', String(port)],
      cwd: folder,
    }),
  },
  'wrangler-dev': { ...wrangler('workers'), label: 'wrangler dev 4.86.0', save: saveWorker },
  'wrangler-dev-bound': {
    ...wrangler('workers-bound'),
    label: 'wrangler dev 4.86.0, the same bindings',
    save: saveBoundWorker,
  },
  miniflare: { ...miniflare(), label: 'miniflare alone' },
  'miniflare-direct': { ...miniflare('direct'), label: 'miniflare, the Worker’s own socket' },
  workerd: {
    label: 'workerd alone',
    body: TEXT_BODY,
    missing: () => undefined,
    prepare: () => scratchCopy('workerd', app('workers')),
    start: ({ folder, port }) => ({
      command: createRequire(import.meta.url)('workerd').default,
      args: ['serve', 'workerd.capnp', '--socket-addr', `http=127.0.0.1:${port}`],
      cwd: folder,
    }),
  },
  'node-http': plain('node:http, static answer', 'node-http.js', TEXT_BODY),
  'node-http-json': plain('node:http, static answer', 'node-http.js', LAMBDA_BODY),
  hono: plain('@hono/node-server, static answer', 'hono.js', TEXT_BODY),
  'hono-json': plain('@hono/node-server, static answer', 'hono.js', LAMBDA_BODY),
  nginx: nginx(TEXT_BODY),
  'nginx-json': nginx(LAMBDA_BODY),
  ...PROXIES,
  ...RUNTIMES,
}

function wrangler(project) {
  return {
    body: TEXT_BODY,
    missing: () => missingPeer('wrangler'),
    prepare: () => scratchCopy(`wrangler-${project}`, app(project)),
    start: ({ folder, port }) => ({
      command: peerProgram('wrangler'),
      args: ['dev', '--ip', '127.0.0.1', '--port', String(port), '--show-interactive-dev-session=false'],
      cwd: folder,
      // Its logs and its registry of running Workers belong to this run, not to the user's home.
      env: { WRANGLER_SEND_METRICS: 'false', XDG_CONFIG_HOME: join(folder, '.home') },
    }),
  }
}

function miniflare(...flags) {
  return {
    body: TEXT_BODY,
    missing: () => undefined,
    prepare: () => scratchCopy('miniflare', app('workers')),
    start: ({ folder, port }) => ({
      command: process.execPath,
      args: [join(app('plain'), 'miniflare.js'), String(port), folder, ...flags],
      cwd: folder,
    }),
  }
}

function missingPeer(program) {
  return existsSync(peerProgram(program)) ? undefined : 'not installed: npm run bench -- --install'
}

function missingForNative() {
  if (findProgram('cc') === undefined) return 'no C compiler (cc) on this machine'
  return existsSync(join(projectRoot, 'include', 'flexi.h')) ? undefined : 'include/flexi.h is not there'
}

/** Without a line for each request, as what it is compared with writes none. */
function quietNative(isolation) {
  return {
    label: `flexi dev, C library, isolation ${isolation}, no request lines`,
    body: TEXT_BODY,
    missing: () => flexi.missing() ?? missingForNative(),
    prepare: () => {
      const folder = prepareNative()
      const options = { provider: 'native', library: 'libhello.so', isolation }
      writeFileSync(join(folder, 'flexi.jsonc'), JSON.stringify({ functions: { hello: options } }))
      return folder
    },
    start: (where) => flexiDev(where, ...QUIET),
  }
}

/** Three libraries that differ in their answer: the one served first, and two to put in its place. */
function prepareNative() {
  const folder = scratchCopy('native', app('native'))
  const answers = {
    'libhello.so': TEXT_BODY,
    'prebuilt0.so': `${TEXT_BODY} 0`,
    'prebuilt1.so': `${TEXT_BODY} 1`,
  }
  for (const [file, answer] of Object.entries(answers)) {
    const include = `-I${join(projectRoot, 'include')}`
    const flags = ['-shared', '-fPIC', '-O2', include, `-DANSWER="${answer}"`, '-o', file, 'hello.c']
    execFileSync(findProgram('cc'), flags, { cwd: folder })
  }
  return folder
}

function saveHandler(file, name, n) {
  writeFileSync(file, `${name} = async () => ({ ok: true, save: ${n} })\n`)
  return `{"ok":true,"save":${n}}`
}

function saveWorker(folder, n) {
  const code = `export default {\n  fetch() {\n    return new Response('${TEXT_BODY} ${n}')\n  },\n}\n`
  writeFileSync(join(folder, 'src', 'index.js'), code)
  return `${TEXT_BODY} ${n}`
}

function saveBoundWorker(folder, n) {
  const source = readFileSync(join(app('workers-bound'), 'src', 'index.js'), 'utf8')
  writeFileSync(join(folder, 'src', 'index.js'), source.replace(`'${TEXT_BODY}'`, `'${TEXT_BODY} ${n}'`))
  return `${TEXT_BODY} ${n}`
}
