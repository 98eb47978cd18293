// Runs the tour: an HTTP server of the kind you already have, and flexi in front of it and of everything else in this folder.
import { spawn } from 'node:child_process'
import { createServer } from 'node:http'
import { fileURLToPath } from 'node:url'

const UPSTREAM_PORT = 8070

const upstream = createServer((request, response) => {
  response.setHeader('content-type', 'application/json')
  response.end(JSON.stringify({ server: 'upstream', target: request.url, time: new Date().toISOString() }) + '\n')
})
upstream.on('error', (error) => console.error(`the tour's upstream did not start: ${error.message}`))
upstream.listen(UPSTREAM_PORT, '127.0.0.1')

const run = fileURLToPath(new URL('../../bin/run.js', import.meta.url))
const directory = fileURLToPath(new URL('.', import.meta.url))
const flexi = spawn(process.execPath, [run, 'dev', directory, ...process.argv.slice(2)], { stdio: 'inherit' })
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => flexi.kill(signal))
flexi.on('exit', (code, signal) => process.exit(code ?? (signal === null ? 0 : 1)))
