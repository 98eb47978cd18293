import { createReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import type { ShippedProject } from '../../app/shipping.ts'
import { FlexiError } from '../../core/errors.ts'
import type { DeploySettings } from '../../core/function.ts'
import type { AbsolutePath } from '../../core/place.ts'
import type { Call } from '../api/schemas/operations.ts'
import type { Digest } from '../model.ts'
import type { DaemonClient } from './client.ts'

/** One part of a project as it is uploaded. */
export interface Archive {
  /** Of the part: a function's, or that of the project's routes. */
  readonly name: string
  /** A tar.gz: equal content has equal bytes. */
  readonly file: AbsolutePath
  readonly digest: Digest
  readonly bytes: number
  /** A sigstore bundle. */
  readonly signature?: unknown
}

/** How all functions of a deployment run: what is said here wins over what flexi.jsonc says of a function. */
export interface RunSettings extends DeploySettings {
  readonly healthTimeoutMs?: number | undefined
}

export interface PackOptions {
  /** Where the archives go. */
  readonly directory: AbsolutePath
  /** PEM file of an Ed25519 key that signs each archive. */
  readonly signingKey?: AbsolutePath | undefined
  /** Of that key, where it has one. */
  readonly passphrase?: string | undefined
}

/** Makes the archives of a project, and signs them. @throws FlexiError FLEXI_NO_INPUT, FLEXI_SIGNATURE for a key that cannot be used. */
export async function packProject(
  project: ShippedProject,
  { directory, signingKey, passphrase }: PackOptions,
): Promise<readonly Archive[]> {
  const sign = await signer(signingKey, passphrase)
  const { packDirectory } = await import('../artifacts/pack-directory.ts')
  const archives: Archive[] = []
  for (const part of partsOf(project)) {
    const file = join(directory, `${part.name}.tar.gz`) as AbsolutePath
    const packed = await packDirectory(part.directory, file)
    archives.push({ name: part.name, file, ...packed, signature: await sign?.(file) })
  }
  return archives
}

async function signer(
  key: AbsolutePath | undefined,
  passphrase: string | undefined,
): Promise<((file: AbsolutePath) => Promise<unknown>) | undefined> {
  if (key === undefined) return undefined
  const pem = await readFile(key, 'utf8').catch((cause: unknown) => {
    throw new FlexiError('FLEXI_NO_INPUT', `there is no key ${key} that you may read`, { cause })
  })
  const { signArtifact } = await import('../signing/sign-artifact.ts')
  return (file) => signArtifact(file, pem, passphrase)
}

interface Part {
  readonly name: string
  readonly directory: AbsolutePath
}

function partsOf(project: ShippedProject): readonly Part[] {
  const { functions, routes } = project
  return routes === undefined
    ? functions
    : [...functions, { name: routesName(project), directory: routes.directory }]
}

/** Of the part that people ask: the routes, or the only function. */
export function mainPart(project: ShippedProject): string | undefined {
  if (project.routes !== undefined) return routesName(project)
  const [first, ...more] = project.functions
  return more.length === 0 ? first?.name : undefined
}

/** Of the part that holds the routes: functions come first. */
function routesName({ name, functions }: ShippedProject): string {
  const taken = new Set(functions.map((one) => one.name))
  return taken.has(name) ? `${name.slice(0, 63 - ROUTES_SUFFIX.length)}${ROUTES_SUFFIX}` : name
}

const ROUTES_SUFFIX = '-routes'

export interface RequestOptions {
  readonly alias: string
  readonly archives: readonly Archive[]
  readonly settings: RunSettings
  readonly domains?: readonly string[] | undefined
  readonly dryRun?: boolean | undefined
}

type DeploymentBody = Call<'createDeployment'>['body']
type BodyPart = DeploymentBody['parts'][number]

/** What is asked of the daemon when its archives are there. */
export function deploymentBody(project: ShippedProject, options: RequestOptions): DeploymentBody {
  const { alias, archives, settings, domains, dryRun } = options
  checkSettings(project, settings)
  const configs = new Map<string, BodyPart['config']>(
    project.functions.map(({ name, provider, options: own, environment, timeoutMs, memoryMb, deploy }) => [
      name,
      {
        provider,
        options: own,
        environment,
        timeoutMs,
        memoryMb,
        ...runFields({ ...deploy, ...said(settings) }),
      },
    ]),
  )
  const { routes } = project
  if (routes !== undefined)
    configs.set(routesName(project), { provider: 'routes', options: { rules: routes.rules } })
  const parts = archives.map(({ name, digest, signature }): BodyPart => {
    const config = configs.get(name) ?? {}
    return { name, artifact: digest, config, ...(signature === undefined ? {} : { signature }) }
  })
  return { project: project.name, alias, parts, domains, dryRun }
}

/** @throws FlexiError FLEXI_USAGE for settings that contradict each other. */
function checkSettings({ functions }: ShippedProject, settings: RunSettings): void {
  const merged = functions.map(({ name, deploy }) => ({ name, ...deploy, ...said(settings) }))
  const torn = merged.find(({ min = 0, max = min }) => min > max)
  if (torn !== undefined)
    throw new FlexiError(
      'FLEXI_USAGE',
      `${torn.name} cannot have ${torn.min} instances at least and ${torn.max} at most`,
      { hint: 'Look at --min and --max, and at "deploy" in flexi.jsonc.' },
    )
  if (settings.healthTimeoutMs === undefined || merged.some(({ health }) => health !== undefined)) return
  throw new FlexiError('FLEXI_USAGE', '--health-timeout has nothing to wait for', {
    hint: 'Say what has to answer: --health PATH, or "health" in flexi.jsonc.',
  })
}

/** As a version's configuration has them. */
function runFields(settings: RunSettings): Partial<BodyPart['config']> {
  const { network, min, max, idleMs, health, healthTimeoutMs, ...limits } = settings
  return {
    network,
    limits,
    instances: { min, max, idleMs },
    health: { path: health, timeoutMs: healthTimeoutMs },
  }
}

/** Without what is undefined. */
function said(settings: RunSettings): RunSettings {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined))
}

export type UploadEvent =
  /** The daemon has this content from an earlier deployment. */
  | { readonly event: 'present'; readonly archive: Archive }
  | { readonly event: 'sending'; readonly archive: Archive; readonly sentBytes: number }
  | { readonly event: 'uploaded'; readonly archive: Archive; readonly durationMs: number }

/** Sends what the daemon does not have yet. */
export async function uploadArchives(
  client: DaemonClient,
  archives: readonly Archive[],
  onEvent: (event: UploadEvent) => void,
): Promise<void> {
  for (const archive of archives) {
    const from = performance.now()
    if (await client.hasArtifact(archive.digest)) {
      onEvent({ event: 'present', archive })
      continue
    }
    await client.putArtifact(archive.digest, {
      stream: createReadStream(archive.file),
      bytes: archive.bytes,
      onProgress: (sentBytes) => onEvent({ event: 'sending', archive, sentBytes }),
    })
    onEvent({ event: 'uploaded', archive, durationMs: performance.now() - from })
  }
}
