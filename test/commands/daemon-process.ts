import { spawn } from 'node:child_process'
import { request } from 'node:http'

import { RUN } from './cli.ts'
import { descendants, personsEnvironment } from './proxy-process.ts'

export interface DaemonProcess extends AsyncDisposable {
  readonly pid: number
  readonly port: number
  /** Where the API is asked. */
  readonly url: string
  readonly rootToken: string
  readonly stderr: () => string
  readonly exit: Promise<number | null>
  /** The process that serves now. */
  server(): number
  signal(name: NodeJS.Signals): void
  /** GET of a host name below the daemon's domain. */
  get(host: string, path?: string): Promise<Answer>
}

interface Answer {
  readonly status: number
  readonly body: string
}

/** `flexi daemon start` as a person runs it, on a free port. Its sandbox is `none` unless `args` say otherwise. */
export async function startDaemonProcess(
  directory: string,
  args: readonly string[] = ['--sandbox', 'none'],
): Promise<DaemonProcess> {
  const child = spawn(
    process.execPath,
    [RUN, 'daemon', 'start', '--data-dir', directory, '--port', '0', ...args],
    { env: personsEnvironment(), stdio: ['ignore', 'ignore', 'pipe'] },
  )
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const exit = new Promise<number | null>((resolve) => child.on('close', resolve))
  await new Promise<void>((resolve) => {
    child.stderr.on('data', () => {
      if (/^pid: /m.test(stderr)) resolve()
    })
    void exit.then(() => resolve())
  })
  const port = Number(/^api: .*:(\d+)\/api\/$/m.exec(stderr)?.[1])
  if (Number.isNaN(port)) throw new Error(`the daemon did not start: ${child.exitCode}\n${stderr}`)
  return {
    pid: child.pid ?? 0,
    port,
    url: `http://127.0.0.1:${port}`,
    rootToken: /^root token: (\S+)$/m.exec(stderr)?.[1] ?? '',
    stderr: () => stderr,
    exit,
    server: () => Number([...stderr.matchAll(/served by (?:process )?(\d+)/g)].at(-1)?.[1]),
    signal: (name) => void child.kill(name),
    get: (host, path = '/') => get(port, host, path),
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM')
      const timer = setTimeout(() => {
        for (const pid of descendants(child.pid ?? 0)) process.kill(pid, 'SIGKILL')
        child.kill('SIGKILL')
      }, 8_000)
      await exit
      clearTimeout(timer)
    },
  }
}

function get(port: number, host: string, path: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      { host: '127.0.0.1', port, path, headers: { Host: `${host}:${port}` }, agent: false },
      (incoming) => {
        let body = ''
        incoming.setEncoding('utf8').on('data', (text: string) => (body += text))
        incoming.on('error', reject)
        incoming.on('end', () => resolve({ status: incoming.statusCode ?? 0, body }))
      },
    )
    outgoing.on('error', reject)
    outgoing.end()
  })
}
