// Starts the worker as `flexi dev` does and talks to it over HTTP. Run it with `npm test`.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { after, before, test } from 'node:test'

let flexi
let url

before(async () => {
  // FLEXI may name the command, for a flexi that is not installed here: FLEXI="node ../flexi/bin/run.js".
  const [command, ...args] = (process.env.FLEXI ?? 'npx flexi').split(' ')
  flexi = spawn(command, [...args, 'dev', '--json', '--port', '0', '--no-watch'], {
    cwd: new URL('..', import.meta.url),
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  })
  for await (const line of createInterface(flexi.stdout)) {
    const event = JSON.parse(line)
    if (event.event === 'ready') {
      url = event.url
      break
    }
  }
  flexi.stdout.resume()
})

after(() => process.kill(-flexi.pid, 'SIGTERM'))

test('greets', async () => {
  const response = await fetch(url)
  assert.equal(await response.text(), 'Hello from a Worker!\n')
})

test('keeps a note until it is deleted', async () => {
  const note = `${url}/notes/test`
  assert.equal((await fetch(note, { method: 'PUT', body: 'remember' })).status, 204)
  assert.equal(await (await fetch(note)).text(), 'remember')
  assert.ok((await (await fetch(`${url}/notes`)).json()).includes('test'))
  assert.equal((await fetch(note, { method: 'DELETE' })).status, 204)
  assert.equal((await fetch(note)).status, 404)
})

test('refuses what it does not know', async () => {
  assert.equal((await fetch(`${url}/nothing`)).status, 404)
  assert.equal((await fetch(`${url}/notes/x`, { method: 'POST' })).status, 405)
})
