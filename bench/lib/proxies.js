import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { flexiDev, missingFlexi, QUIET } from './flexi-command.js'
import { benchRoot, findProgram, peersRoot } from './places.js'
import { scratchFolder } from './scratch.js'

const BODY = 'hello world\n'
const app = join(benchRoot, 'apps', 'proxy')

function flexi(label, ...flags) {
  return {
    label,
    body: BODY,
    missing: missingFlexi,
    prepare: () => scratchFolder('flexi-proxy'),
    start: (where) => {
      writeRoutes(where.folder, `/ = http://127.0.0.1:${where.upstream}`)
      return flexiDev(where, ...flags)
    },
  }
}

function writeRoutes(folder, text) {
  writeFileSync(join(folder, 'proxy.ini'), `${text}\n`)
}

/** A program of the machine with a configuration of ours, in which PORT and UPSTREAM are put. */
function configured(name, { label, file, args }) {
  return {
    label,
    body: BODY,
    missing: () => (findProgram(name) === undefined ? `${name} is not on this machine` : undefined),
    prepare: () => scratchFolder(name),
    start: ({ folder, port, upstream }) => {
      const text = readFileSync(join(app, file), 'utf8').replaceAll('UPSTREAM', String(upstream))
      writeFileSync(join(folder, file), text.replaceAll('PORT', String(port)))
      const home = join(folder, '.home')
      // One core each, or the one with more threads would win.
      const env = { GOMAXPROCS: '1', XDG_DATA_HOME: home, XDG_CONFIG_HOME: home, HOME: home }
      return { command: findProgram(name), args: args(folder, file), cwd: folder, env }
    },
  }
}

function script(label, file, missing = () => undefined) {
  return {
    label,
    body: BODY,
    missing,
    prepare: () => scratchFolder('proxy'),
    start: ({ folder, port, upstream }) => ({
      command: process.execPath,
      args: [join(app, file), String(port), String(upstream), peersRoot],
      cwd: folder,
    }),
  }
}

const peer = (name) => () =>
  existsSync(join(peersRoot, 'node_modules', name)) ? undefined : 'not installed: npm run bench -- --install'

const nginxArgs = (folder, file) => ['-p', folder, '-c', file]

/** Reverse proxies in front of one upstream, whose port `start` is given, and those upstreams. */
export const PROXIES = {
  'flexi-proxy': flexi('flexi dev, no request lines', ...QUIET),
  'flexi-proxy-lines': flexi('flexi dev, a line for each request', '--no-watch'),
  'flexi-proxy-reload': {
    ...flexi('flexi dev, proxy.ini'),
    body: 'a',
    start: (where) => {
      writeRoutes(where.folder, routesOf('a', where.upstream))
      return flexiDev(where)
    },
    save: (folder, n, upstream) => {
      const body = n % 2 === 0 ? 'a' : 'b'
      writeRoutes(folder, `/${n} = http://127.0.0.1:${upstream}\n${routesOf(body, upstream)}`)
      return body
    },
  },
  'nginx-proxy': configured('nginx', { label: 'nginx, proxy_pass', file: 'nginx.conf', args: nginxArgs }),
  'haproxy-proxy': configured('haproxy', {
    label: 'HAProxy, mode http',
    file: 'haproxy.cfg',
    args: (_folder, file) => ['-db', '-f', file],
  }),
  'caddy-proxy': configured('caddy', {
    label: 'Caddy, reverse_proxy',
    file: 'Caddyfile',
    args: (_folder, file) => ['run', '--adapter', 'caddyfile', '--config', file],
  }),
  'undici-proxy': script('node:http + undici dispatch, bare', 'undici.js'),
  'httpxy-proxy': script('httpxy 0.5.6', 'httpxy.js', peer('httpxy')),
  'http-proxy-3-proxy': script('http-proxy-3 1.23.3', 'http-proxy-3.js', peer('http-proxy-3')),
  'upstream-nginx': configured('nginx', {
    label: 'the upstream itself (nginx)',
    file: 'upstream.conf',
    args: nginxArgs,
  }),
  'upstream-node': script('the upstream itself (node:http)', 'upstream.js'),
  'upstream-tunnel': script('the upstream itself', 'tunnel.js'),
}

/** A base path makes the same upstream answer something else. */
function routesOf(body, upstream) {
  return `/chat = http://127.0.0.1:${upstream}\n/ = http://127.0.0.1:${upstream}/${body}`
}
