import { readFileSync, readdirSync } from 'node:fs'

/** Processes are read from /proc, so memory is measured on Linux alone. */
export const canReadProcesses = process.platform === 'linux'

/**
 * A process and everything it started. Descendants that lost their parent still count: each server is started as
 * the leader of a session of its own, and a child leaves that only on purpose.
 */
export function treeOf(rootPid) {
  const all = readAll()
  const found = new Map()
  const take = (one) => {
    if (found.has(one.pid)) return
    found.set(one.pid, one)
    all.filter((other) => other.parent === one.pid).forEach(take)
  }
  all.filter((one) => one.pid === rootPid || one.session === rootPid).forEach(take)
  return [...found.values()]
}

/** The same process, not another that got its number. */
export function isAlive({ pid, startTime }) {
  return readOne(pid)?.startTime === startTime
}

/**
 * Memory of a whole tree in MB. `rssMb` adds up VmRSS, which counts a page shared by two processes twice;
 * `pssMb` divides shared pages among those who share them.
 */
export function memoryOf(rootPid) {
  const tree = treeOf(rootPid)
  const sum = (file, field) => tree.reduce((total, { pid }) => total + readKb(pid, file, field), 0) / 1024
  return { rssMb: sum('status', 'VmRSS'), pssMb: sum('smaps_rollup', 'Pss'), processes: tree.length }
}

/** How long a tree has been on a CPU, in seconds; children that ended are counted in their parents. */
export function cpuSecondsOf(rootPid) {
  return treeOf(rootPid).reduce((total, one) => total + one.cpuTicks, 0) / CLOCK_TICKS_PER_SECOND
}

/** What a process was started with, for messages. */
export function commandOf(pid) {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()
  } catch {
    return '(gone)'
  }
}

/** USER_HZ is 100 on every Linux that Node.js runs on. */
const CLOCK_TICKS_PER_SECOND = 100

function readAll() {
  if (!canReadProcesses) return []
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => readOne(Number(name)))
    .filter((one) => one !== undefined)
}

function readOne(pid) {
  let text
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'utf8')
  } catch {
    return undefined
  }
  // The name stands in brackets and may hold spaces and brackets itself: the fields start after the last one.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  if (fields[0] === 'Z') return undefined
  return {
    pid,
    parent: Number(fields[1]),
    session: Number(fields[3]),
    cpuTicks: [11, 12, 13, 14].reduce((total, at) => total + Number(fields[at]), 0),
    startTime: fields[19],
  }
}

function readKb(pid, file, field) {
  try {
    const text = readFileSync(`/proc/${pid}/${file}`, 'utf8')
    return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0)
  } catch {
    return 0
  }
}

/** How many files and sockets a process may have open. */
export function descriptorsMax(pid) {
  const text = readFileSync(`/proc/${pid}/limits`, 'utf8')
  return Number(/^Max open files\s+(\d+)/m.exec(text)?.[1] ?? Infinity)
}
