// httpxy with its server, keep-alive to the upstream and WebSockets, as its README has it. `node httpxy.js PORT UPSTREAM-PORT MODULES`
import { Agent, createServer } from 'node:http'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

const [, , port, upstream, modules] = process.argv
const { createProxyServer } = await import(pathToFileURL(createRequire(`${modules}/`).resolve('httpxy')).href)
const target = `http://127.0.0.1:${upstream}`
const proxy = createProxyServer({ target, agent: new Agent({ keepAlive: true }), xfwd: true })

const server = createServer((incoming, outgoing) => {
  proxy.web(incoming, outgoing).catch(() => outgoing.writeHead(502).end())
})
server.on('upgrade', (incoming, socket, head) => {
  proxy.ws(incoming, socket, {}, head).catch(() => socket.destroy())
})
server.keepAliveTimeout = 75_000
server.listen(Number(port), '127.0.0.1')
