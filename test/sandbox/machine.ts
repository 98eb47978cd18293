import { existsSync } from 'node:fs'

import { openLimiter } from '../../src/sandbox/limits/open-limiter.ts'
import { probeBwrap } from '../../src/sandbox/probe.ts'
import { findTools } from '../../src/sandbox/tools.ts'

const tools = await findTools()
const isLinux = process.platform === 'linux'

export const isRoot = process.getuid?.() === 0
/** Whether functions can be kept apart here. */
export const hasBwrap =
  isLinux && (await probeBwrap(tools, isRoot ? 1_900_000_000 : undefined)).name !== undefined
export const hasSlirp =
  hasBwrap &&
  [tools.slirp4netns, tools.ip, tools.nsenter, tools.unshare].every(Boolean) &&
  existsSync('/dev/net/tun')
export const hasCompiler = existsSync('/usr/bin/cc')

const limiter = isLinux ? await openLimiter('probe', tools) : undefined
limiter?.dispose()
export const hasControlGroups = limiter?.kind.startsWith('cgroup') === true
