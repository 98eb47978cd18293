import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cpus, loadavg, release, totalmem } from 'node:os'
import { join } from 'node:path'

import { loadTool } from './load.js'
import { peersRoot, projectRoot } from './places.js'

/** Above this many waiting processes for each core the numbers are somebody else's too. */
const BUSY_LOAD = 0.3

/** What a reader needs to know before comparing two runs. */
export function describeMachine() {
  const all = cpus()
  const [load] = loadavg()
  return {
    date: new Date().toISOString(),
    cores: all.length,
    cpu: all[0]?.model.trim() ?? 'unknown CPU',
    memoryGb: Math.round(totalmem() / 2 ** 30),
    system: `${process.platform} ${release()}`,
    node: process.version,
    workerd: versionOf(projectRoot, 'workerd'),
    wranglersWorkerd: versionOf(peersRoot, 'workerd'),
    commit: commit(),
    loadTool,
    loadAverage: load,
    busy: load > BUSY_LOAD * all.length,
  }
}

export function machineLine(machine) {
  const { cores, cpu, memoryGb, system, node, workerd, wranglersWorkerd, commit: at, date } = machine
  const parts = [
    `${cores} cores (${cpu}), ${memoryGb} GB, ${system}`,
    `Node.js ${node}`,
    `workerd ${workerd ?? '?'}${wranglersWorkerd === undefined ? '' : ` (wrangler's: ${wranglersWorkerd})`}`,
    `load by ${machine.loadTool}`,
    `flexi ${at}`,
    `${date.slice(0, 16).replace('T', ' ')} UTC`,
    `load average before: ${machine.loadAverage.toFixed(2)}`,
  ]
  return parts.join(' · ')
}

function versionOf(root, name) {
  try {
    return JSON.parse(readFileSync(join(root, 'node_modules', name, 'package.json'), 'utf8')).version
  } catch {
    return undefined
  }
}

function commit() {
  const git = (...args) =>
    execFileSync('git', args, { cwd: projectRoot, encoding: 'utf8', stdio: 'pipe' }).trim()
  try {
    return git('rev-parse', '--short', 'HEAD') + (git('status', '--porcelain') === '' ? '' : ' and changes')
  } catch {
    return 'of no commit'
  }
}
