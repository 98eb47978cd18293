import { rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'

import { LambdaClient } from '@aws-sdk/client-lambda'

import { startApp, type App } from '../../../src/app.ts'
import type { DevEvent } from '../../../src/core/events.ts'
import { temporaryFolder, type Files } from './harness.ts'

export interface ApiProject extends AsyncDisposable {
  readonly app: App
  readonly directory: string
  /** Where SDKs are pointed at. */
  readonly endpoint: string
  readonly client: LambdaClient
  readonly events: readonly DevEvent[]
  /** The bare API. */
  ask(path: string, init?: RequestInit): Promise<Response>
  /** Ends it and starts it anew in the same folder: what is returned is to be disposed in its place. */
  restarted(meanwhile?: () => Promise<void>): Promise<ApiProject>
}

/**
 * A project that is served, by a `flexi.jsonc` or, where no functions are given, by the files' own word; and the SDK pointed at it.
 * Functions find the packages of this repository.
 */
export async function serveProject(
  functions: Readonly<Record<string, object>>,
  files: Files,
): Promise<ApiProject> {
  const ours = Object.entries(functions).map(([name, options]) => [name, { provider: 'lambda', ...options }])
  const configuration = JSON.stringify({ functions: Object.fromEntries(ours) as object }, undefined, 1)
  const own = ours.length > 0 ? { 'flexi.jsonc': configuration } : {}
  const directory = await temporaryFolder({ ...files, ...own })
  await symlink(join(import.meta.dirname, '../../../node_modules'), join(directory, 'node_modules'))
  const events: DevEvent[] = []
  const start = (): Promise<App> =>
    startedApp({
      directory,
      mode: 'serve',
      port: 0,
      portIsFixed: true,
      environment: {},
      watch: false,
      startedAt: 0,
      onEvent: (event) => events.push(event),
    })
  return projectOf({ app: await start(), start, directory, events })
}

interface Started {
  readonly app: App
  readonly start: () => Promise<App>
  readonly directory: string
  readonly events: DevEvent[]
}

function projectOf({ app, start, directory, events }: Started): ApiProject {
  const endpoint = `${app.url}/_flexi/aws`
  const client = new LambdaClient({
    endpoint,
    region: 'us-east-1',
    credentials: { accessKeyId: 'flexi', secretAccessKey: 'flexi' },
    maxAttempts: 1,
  })
  return {
    app,
    directory,
    endpoint,
    client,
    events,
    ask: (path, init) => fetch(`${endpoint}${path}`, init),
    async restarted(meanwhile = () => Promise.resolve()) {
      client.destroy()
      await app[Symbol.asyncDispose]()
      await meanwhile()
      return projectOf({ app: await start(), start, directory, events })
    },
    async [Symbol.asyncDispose]() {
      client.destroy()
      await app[Symbol.asyncDispose]()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

async function startedApp(options: Parameters<typeof startApp>[0]): Promise<App> {
  try {
    return await startApp(options)
  } catch (error) {
    await rm(options.directory, { recursive: true, force: true })
    throw error
  }
}

export function text(bytes: Uint8Array | undefined): string {
  return Buffer.from(bytes ?? []).toString()
}

export function json(bytes: Uint8Array | undefined): unknown {
  return JSON.parse(text(bytes))
}
