// http-proxy-3 with keep-alive to the upstream and WebSockets, as its README has it. `node http-proxy-3.js PORT UPSTREAM-PORT MODULES`
import { Agent, createServer } from 'node:http'
import { createRequire } from 'node:module'

const [, , port, upstream, modules] = process.argv
const { createProxyServer } = createRequire(`${modules}/`)('http-proxy-3')
const target = `http://127.0.0.1:${upstream}`
const proxy = createProxyServer({ target, agent: new Agent({ keepAlive: true }), xfwd: true })
proxy.on('error', (_error, _incoming, outgoing) => outgoing.destroy())

const server = createServer((incoming, outgoing) => proxy.web(incoming, outgoing))
server.on('upgrade', (incoming, socket, head) => proxy.ws(incoming, socket, head))
server.keepAliveTimeout = 75_000
server.listen(Number(port), '127.0.0.1')
