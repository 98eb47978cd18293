import { existsSync, readlinkSync } from 'node:fs'
import { chmod, copyFile, mkdir, readdir, stat, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'

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

/** Where the files of /etc are inside, which are links to them: other files may be put beside them. */
export const ETC = '/etc/.system'

/** What every function sees of the system. */
export interface SystemFiles {
  /** Becomes `ETC`: it may have to be staged. */
  readonly etc: AbsolutePath
  /** Arguments of bwrap for all the rest. */
  args(network: NetworkMode): readonly string[]
}

/** Writes the /etc of functions into `directory`. */
export async function writeSystemFiles(directory: AbsolutePath): Promise<SystemFiles> {
  const etc = join(directory, 'etc') as AbsolutePath
  await mkdir(etc, { recursive: true })
  await chmod(etc, 0o755)
  for (const [name, text] of Object.entries(WRITTEN)) await writeShared(join(etc, name), text)
  for (const name of COPIED) await copyShared(join('/etc', name), join(etc, name))
  const names = await readdir(etc)
  const folders = await systemFolders()
  const shared = [...rootArgs(), ...folders.flatMap((path) => ['--ro-bind', path, path])]
  const own = [...shared, ...names.flatMap(linkArgs)]
  // On the machine's own network, names are resolved as the machine does.
  const others = names.filter((name) => !RESOLVING.includes(name))
  const host = [...shared, ...others.flatMap(linkArgs), ...RESOLVING.flatMap(hostFileArgs)]
  return { etc, args: (network) => (network === 'host' ? host : own) }
}

const RESOLVING: readonly string[] = ['resolv.conf', 'hosts']

function linkArgs(name: string): string[] {
  return ['--symlink', `${basename(ETC)}/${name}`, `/etc/${name}`]
}

function hostFileArgs(name: string): string[] {
  return ['--ro-bind-try', `/etc/${name}`, `/etc/${name}`]
}

async function systemFolders(): Promise<string[]> {
  const entries = await readdir('/etc', { withFileTypes: true })
  return entries
    .filter((each) => each.isDirectory() && BOUND.test(each.name))
    .map(({ name }) => join('/etc', name))
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
