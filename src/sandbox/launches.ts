import type { LaunchedProcess } from '../core/confinement.ts'

/** What bwrap tells on its status descriptor. */
export interface LaunchStatus {
  /** The first process of the sandbox, by its number outside. Rejects when bwrap ended before it had one. */
  readonly child: Promise<number>
  /** Resolves when bwrap is gone, and with it everything in the sandbox. */
  readonly ended: Promise<void>
}

const TEXT_MAX = 64 * 1024

/** Reads `{ "child-pid": 4711, … }`, a line, and later `{ "exit-code": 0 }`. */
export function readStatus(stream: NodeJS.ReadableStream): LaunchStatus {
  const ended = new Promise<void>((resolve) => {
    for (const event of ['end', 'error', 'close']) stream.once(event, () => resolve())
  })
  const child = new Promise<number>((resolve, reject) => {
    let text = ''
    stream.on('data', (chunk: Buffer | string) => {
      if (text.length < TEXT_MAX) text += chunk.toString()
      const pid = /"child-pid"\s*:\s*(\d+)/.exec(text)?.[1]
      if (pid !== undefined) resolve(Number(pid))
    })
    void ended.then(() => reject(new Error('bwrap ended before the sandbox was there')))
  })
  child.catch(() => undefined)
  return { child, ended }
}

/** Resolves with the first that is heard. @throws Error when nothing is, to the end. */
export function heard(process_: LaunchedProcess, fd: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const stream = process_.outputs.get(fd)
    stream?.once('data', () => resolve())
    for (const event of ['end', 'error', 'close']) {
      stream?.once(event, () => reject(new Error('the sandbox ended before it was ready')))
    }
  })
}

/** Lets a waiting process go on. */
export function openGate(process_: LaunchedProcess, fd: number): void {
  process_.gates.get(fd)?.end('1\n')
}
