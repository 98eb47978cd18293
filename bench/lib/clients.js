import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

import { onCore } from './cores.js'
import { runTool, track } from './processes.js'

/** Runs one of the clients in `clients/` to its end and returns what it found. @throws Error when it fails */
export async function runClient(file, args, core) {
  return JSON.parse(await runTool(onCore(core, clientCommand(file, args))))
}

/**
 * Starts a client that goes on until it is told to finish. `next()` is its next line of JSON; `finish()` asks for the last and ends it.
 */
export function startClient(file, args, core) {
  const { command, args: all } = onCore(core, clientCommand(file, args))
  const child = spawn(command, all, { stdio: ['pipe', 'pipe', 'inherit'] })
  const forget = track(child)
  child.once('exit', forget)
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const next = async () => {
    const { value, done } = await lines.next()
    if (done) throw new Error(`${file} ended early`)
    return JSON.parse(value)
  }
  return {
    next,
    async finish() {
      child.stdin.end()
      const [last] = await Promise.all([next(), child.exitCode ?? once(child, 'exit')])
      return last
    },
  }
}

function clientCommand(file, args) {
  const script = fileURLToPath(new URL(`./clients/${file}`, import.meta.url))
  return { command: process.execPath, args: [script, ...args.map(String)] }
}
