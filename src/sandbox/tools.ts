import { execFile } from 'node:child_process'
import { access, constants } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'

/** Where tools of the system are, whatever PATH the daemon was started with. */
export const SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** Programs of the system that the sandbox is made of; undefined are not installed. */
export interface Tools {
  readonly bwrap: string | undefined
  readonly prlimit: string | undefined
  readonly setpriv: string | undefined
  readonly unshare: string | undefined
  readonly mount: string | undefined
  readonly umount: string | undefined
  readonly nsenter: string | undefined
  readonly ip: string | undefined
  readonly slirp4netns: string | undefined
}

const NAMES = [
  'bwrap',
  'prlimit',
  'setpriv',
  'unshare',
  'mount',
  'umount',
  'nsenter',
  'ip',
  'slirp4netns',
] as const satisfies readonly (keyof Tools)[]

export async function findTools(path = SYSTEM_PATH): Promise<Tools> {
  const found = await Promise.all(NAMES.map((name) => findProgram(name, path)))
  return Object.fromEntries(NAMES.map((name, index) => [name, found[index]])) as Record<
    keyof Tools,
    string | undefined
  >
}

async function findProgram(name: string, path: string): Promise<string | undefined> {
  for (const directory of path.split(delimiter)) {
    const file = join(directory, name)
    const isThere = await access(file, constants.X_OK).then(
      () => true,
      () => false,
    )
    if (isThere) return file
  }
  return undefined
}

const execFileAsync = promisify(execFile)

/** Runs a tool to its end, at most 10 s. @throws Error with what it said. */
export async function runTool(command: string, args: readonly string[]): Promise<string> {
  try {
    const { stdout } = await execFileAsync(command, args, { timeout: 10_000, env: { PATH: SYSTEM_PATH } })
    return stdout
  } catch (cause) {
    const said = cause instanceof Error && 'stderr' in cause ? String(cause.stderr).trim() : ''
    throw new Error(said === '' ? `${command} failed` : said, { cause })
  }
}
