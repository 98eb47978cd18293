import { existsSync, readlinkSync } from 'node:fs'
import { chmod, copyFile, lstat, mkdir, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import type { AbsolutePath } from '../core/place.ts'
import type { NetworkMode } from './sandbox.ts'

/** User and group of every program inside; outside it is another one. */
export const INNER_ID = 1000

/** Where slirp4netns answers questions for names. */
const RESOLVER = '10.0.2.3'

// Run-time libraries and certificates; nothing about this machine and its users.
const COPIED = ['ld.so.cache', 'ld.so.conf', 'localtime', 'timezone', 'mime.types', 'protocols', 'services']
const BOUND =
  /^(alternatives|ca-certificates|crypto-policies|fonts|java(-.*)?|ld\.so\.conf\.d|pki|python3(\..*)?|ssl)$/

const WRITTEN = {
  passwd: `root:x:0:0:root:/:/bin/false\nfunction:x:${INNER_ID}:${INNER_ID}:function:/tmp:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n`,
  group: `root:x:0:\nfunction:x:${INNER_ID}:\nnogroup:x:65534:\n`,
  hosts: '127.0.0.1 localhost\n::1 localhost ip6-localhost\n',
  'nsswitch.conf': 'passwd: files\ngroup: files\nhosts: files dns\n',
  'resolv.conf': `nameserver ${RESOLVER}\noptions timeout:2 attempts:2\n`,
} as const satisfies Record<string, string>

/** What every function sees of the system, as arguments of bwrap. */
export interface SystemFiles {
  readonly args: readonly string[]
  /** The folder that becomes /etc: it may have to be staged. */
  readonly etc: AbsolutePath
  /** What is bound over folders of it, as arguments. */
  readonly etcArgs: readonly string[]
  /** For a function on the machine's own network. */
  readonly hostArgs: readonly string[]
}

/** Writes the /etc of functions into `directory`. */
export async function writeSystemFiles(directory: AbsolutePath): Promise<SystemFiles> {
  const etc = join(directory, 'etc') as AbsolutePath
  await makeFolder(etc)
  for (const [name, text] of Object.entries(WRITTEN)) await writeShared(join(etc, name), text)
  for (const name of COPIED) await copyShared(join('/etc', name), join(etc, name))
  const bound = (await readdir('/etc')).filter((name) => BOUND.test(name))
  const etcArgs: string[] = []
  for (const name of bound) {
    if (!(await lstat(join('/etc', name))).isDirectory()) continue
    await makeFolder(join(etc, name))
    etcArgs.push('--ro-bind', join('/etc', name), join('/etc', name))
  }
  const hostArgs = ['resolv.conf', 'hosts'].flatMap((name) => [
    '--ro-bind-try',
    `/etc/${name}`,
    `/etc/${name}`,
  ])
  return { args: rootArgs(), etc, etcArgs, hostArgs }
}

/** Whether its names are resolved as the machine's own. */
export function sharesNames(network: NetworkMode): boolean {
  return network === 'host'
}

/** /usr, and what leads into it: links where distributions have merged them, folders where not. */
function rootArgs(): string[] {
  const args = ['--ro-bind', '/usr', '/usr']
  for (const name of ['bin', 'sbin', 'lib', 'lib32', 'lib64', 'libx32']) {
    const path = `/${name}`
    if (!existsSync(path)) continue
    const link = linkOf(path)
    if (link === undefined) args.push('--ro-bind', path, path)
    else args.push('--symlink', link, path)
  }
  return args
}

function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path)
  } catch {
    return undefined
  }
}

async function makeFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true })
  await chmod(path, 0o755)
}

async function writeShared(path: string, text: string): Promise<void> {
  await writeFile(path, text)
  await chmod(path, 0o644)
}

async function copyShared(from: string, to: string): Promise<void> {
  const isFile = await stat(from).then(
    (found) => found.isFile(),
    () => false,
  )
  if (!isFile) return
  await copyFile(from, to)
  await chmod(to, 0o644)
}
