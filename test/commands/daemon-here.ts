import { generateKeyPairSync } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

import { silentLogger } from '../../src/core/log.ts'
import type { AbsolutePath } from '../../src/core/place.ts'
import { startDaemon, type Daemon } from '../../src/daemon/daemon.ts'
import { cli, type CliOptions, type CliResult } from './cli.ts'

export interface DaemonHere extends AsyncDisposable {
  /** `http://localhost:41234` */
  readonly url: string
  readonly daemon: Daemon
  readonly rootToken: string
  /** Of everything the test makes; removed with the daemon. */
  readonly folder: string
  /** PEM file of a key whose signatures count. */
  readonly signingKey: string
  /** Runs the built command line as a user with a settings folder of their own, `ada` for one, who is not logged in. */
  as(user: string, ...args: string[]): Promise<CliResult>
  /** The same with what it reads and where it runs. */
  run(user: string, args: readonly string[], options: CliOptions): Promise<CliResult>
  /** What standard output holds as JSON; fails with what was printed when the command failed. */
  json<T>(user: string, ...args: string[]): Promise<T>
  /** Writes a project's files; its folder. */
  project(name: string, files: Readonly<Record<string, string>>): Promise<string>
}

/** A real daemon in this process, without a sandbox; and who asks it. */
export async function daemonHere(): Promise<DaemonHere> {
  const folder = await mkdtemp(join(tmpdir(), 'flexi-daemon-here-'))
  const keys = generateKeyPairSync('ed25519')
  const [signingKey, trusted] = [join(folder, 'signing.pem'), join(folder, 'trusted.pem')]
  await writeFile(signingKey, keys.privateKey.export({ type: 'pkcs8', format: 'pem' }))
  await writeFile(trusted, keys.publicKey.export({ type: 'spki', format: 'pem' }))
  const daemon = await startDaemon({
    directory: join(folder, 'data') as AbsolutePath,
    version: '0.0.0',
    host: '127.0.0.1',
    port: 0,
    domain: 'localhost',
    sandbox: 'none',
    trustKeys: [trusted as AbsolutePath],
    requireSignature: false,
    log: silentLogger,
  })
  const run: DaemonHere['run'] = (user, args, options) =>
    cli(args, {
      ...options,
      environment: {
        FLEXI_CONFIG_DIR: join(folder, 'settings', user),
        FLEXI_DATA_DIR: join(folder, 'nowhere'),
        FLEXI_DAEMON: '',
        FLEXI_TOKEN: '',
        ...options.environment,
      },
    })
  return {
    url: daemon.url,
    daemon,
    rootToken: daemon.rootToken ?? '',
    folder,
    signingKey,
    run,
    as: (user, ...args) => run(user, args, {}),
    json: async <T>(user: string, ...args: string[]) => {
      const { exit, stdout, stderr } = await run(user, [...args, '--json'], {})
      if (exit !== 0) throw new Error(`flexi ${args.join(' ')}: ${exit}\n${stdout}${stderr}`)
      return JSON.parse(stdout) as T
    },
    project: async (name, files) => {
      const directory = join(folder, 'projects', name)
      for (const [file, text] of Object.entries(files)) {
        await mkdir(dirname(join(directory, file)), { recursive: true })
        await writeFile(join(directory, file), text)
      }
      return directory
    },
    [Symbol.asyncDispose]: async () => {
      await daemon[Symbol.asyncDispose]()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
