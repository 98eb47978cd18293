import { execFile } from 'node:child_process'

import { SYSTEM_PATH, runTool, type Tools } from './tools.ts'

export interface Probe {
  /** `bubblewrap 0.8.0`; undefined when functions cannot be kept apart here: the first of `notes` says why. */
  readonly name: string | undefined
  readonly notes: readonly string[]
}

/** `--disable-userns` came with 0.8, and everything else before. */
const VERSION_MIN = [0, 8] as const

/** Opens a sandbox as functions will: what an administrator or a container has forbidden shows now. */
export async function probeBwrap(tools: Tools, uid: number | undefined): Promise<Probe> {
  if (process.platform !== 'linux') {
    return failed('functions are kept apart on Linux alone: start the daemon there, or with --sandbox none')
  }
  const { bwrap } = tools
  if (bwrap === undefined) {
    return failed(
      'bubblewrap is not installed: install it ("apt install bubblewrap"), or start the daemon with --sandbox none',
    )
  }
  const missing = missingTools(tools, uid !== undefined)
  if (missing.length > 0) {
    return failed(`not installed: ${missing.join(', ')} (install util-linux and, on Debian, "mount")`)
  }
  const version = /\d+(\.\d+)+/.exec(await runTool(bwrap, ['--version']).catch(() => ''))?.[0]
  if (version === undefined || isOlder(version)) {
    return failed(`bubblewrap ${version ?? '?'} is too old: install 0.8 or newer`)
  }
  const fault = await trial(bwrap, uid)
  return fault === undefined
    ? { name: `bubblewrap ${version}`, notes: [] }
    : failed(`bubblewrap cannot make a sandbox here (${fault}): ${ADVICE}`)
}

/** Whatever launches need; users of functions cannot pass every folder, and what lies behind is mounted for them. */
function missingTools(tools: Tools, hasUsers: boolean): readonly string[] {
  const names = ['prlimit', 'setpriv', ...(hasUsers ? MOUNTING : [])] as const
  return names.filter((name) => tools[name] === undefined)
}

const MOUNTING = ['unshare', 'mount', 'umount'] as const

const ADVICE =
  'allow unprivileged user namespaces (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0)'

function failed(note: string): Probe {
  return { name: undefined, notes: [note] }
}

function isOlder(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major < VERSION_MIN[0] || (major === VERSION_MIN[0] && minor < VERSION_MIN[1])
}

/** Undefined when it worked. */
function trial(bwrap: string, uid: number | undefined): Promise<string | undefined> {
  const namespaces = [
    '--unshare-all',
    '--unshare-user',
    '--disable-userns',
    '--die-with-parent',
    '--new-session',
  ]
  const args = [...namespaces, '--ro-bind', '/', '/', '--proc', '/proc', '--dev', '/dev', '--', '/bin/true']
  const user = uid === undefined ? {} : { uid, gid: uid }
  return new Promise((resolve) => {
    const options = { timeout: 10_000, cwd: '/', env: { PATH: SYSTEM_PATH }, ...user }
    execFile(bwrap, args, options, (error, _out, said) => {
      resolve(error === null ? undefined : said.trim().split('\n')[0] || error.message)
    })
  })
}
