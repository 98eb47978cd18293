import { execFile, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'

import { canReadProcesses, commandOf, isAlive, treeOf } from './process-tree.js'

const STOP_LIMIT_MS = 5_000
/** What a child may take to follow its parent before it counts as left behind. */
const FOLLOW_LIMIT_MS = 1_000
/** Of a long output the message is at the top or at the end. */
const LOG_HEAD_LINES = 5
const LOG_TAIL_LINES = 7

const running = new Set()

/**
 * Starts a server, its output going to `logFile`, as the leader of a session of its own:
 * whatever it starts can be found, and Ctrl-C reaches the benchmark only, which then ends everything by itself.
 */
export function startProcess({ command, args, cwd, env, logFile }) {
  const log = openSync(logFile, 'a')
  const startedAt = performance.now()
  const child = spawn(command, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', log, log],
    detached: true,
  })
  closeSync(log)
  const one = { pid: child.pid, logFile, startedAt, ended: undefined, exited: undefined }
  one.exited = new Promise((resolve) => {
    child.once('error', (error) => resolve((one.ended = error.message)))
    child.once('exit', (code, signal) => resolve((one.ended = signal ?? `exit ${code}`)))
  })
  running.add(one)
  return one
}

/** Ends a process with SIGTERM, then with SIGKILL. Returns the commands of the children it left behind, which are ended too. */
export async function stopProcess(one) {
  running.delete(one)
  if (one.pid === undefined) return []
  const tree = treeOf(one.pid)
  if (one.ended === undefined) send(one.pid, 'SIGTERM')
  await Promise.race([one.exited, sleep(STOP_LIMIT_MS, undefined, { ref: false })])
  if (one.ended === undefined) send(one.pid, 'SIGKILL')
  return endLeftOvers(one.pid, tree)
}

/** Runs a command to its end and returns what it printed. @throws Error when it ends with anything but 0 */
export async function runTool({ command, args }) {
  const ending = promisify(execFile)(command, args)
  const forget = track(ending.child)
  const { stdout } = await ending.finally(forget)
  return stdout
}

/** Has a child ended with the benchmark, should it live so long; returns how to forget it. */
export function track(child) {
  const one = { pid: child.pid }
  running.add(one)
  return () => running.delete(one)
}

/** For the way out: ends everything that still runs, at once. */
export function killEverything() {
  for (const one of running) {
    if (one.pid === undefined) continue
    for (const { pid } of treeOf(one.pid)) send(pid, 'SIGKILL')
    send(one.pid, 'SIGKILL')
  }
  running.clear()
}

/** What a process printed, for an error message. */
export function outputOf(one) {
  const lines = readFileSync(one.logFile, 'utf8').trimEnd().split('\n')
  if (lines.length <= LOG_HEAD_LINES + LOG_TAIL_LINES) return lines.join('\n')
  return [...lines.slice(0, LOG_HEAD_LINES), '…', ...lines.slice(-LOG_TAIL_LINES)].join('\n')
}

async function endLeftOvers(rootPid, treeBefore) {
  if (!canReadProcesses) {
    send(-rootPid, 'SIGKILL')
    return []
  }
  const survivors = () => {
    const known = new Map([...treeBefore, ...treeOf(rootPid)].map((each) => [each.pid, each]))
    return [...known.values()].filter(isAlive)
  }
  const limit = performance.now() + FOLLOW_LIMIT_MS
  while (survivors().length > 0 && performance.now() < limit) await sleep(20)
  return survivors().map(({ pid }) => {
    const command = commandOf(pid)
    send(pid, 'SIGKILL')
    return command
  })
}

function send(pid, name) {
  try {
    process.kill(pid, name)
  } catch (error) {
    // It ended by itself in the meantime.
    if (error.code !== 'ESRCH') throw error
  }
}
