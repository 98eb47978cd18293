import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { ExitError } from '@oclif/core/errors'

import type { ShippedProject, ShipOptions } from '../app/shipping.ts'
import { FlexiError } from '../core/errors.ts'
import type { DevEvent } from '../core/events.ts'
import type { AbsolutePath } from '../core/place.ts'
import type { DaemonClient } from '../daemon/client/client.ts'
import type { SessionOptions } from '../daemon/client/session.ts'
import type { Archive, RunSettings, UploadEvent } from '../daemon/client/shipment.ts'
import type { DeploymentEvent } from '../daemon/model.ts'
import { deployedLines, functionLines, stepLine, uploadLine } from '../terminal/deploy-lines.ts'
import { eventLines } from '../terminal/dev-lines.ts'
import { byteSize, duration } from '../terminal/duration.ts'
import { paintFor } from '../terminal/paint.ts'
import { StatusLine } from '../terminal/status-line.ts'
import { warn } from './client-options.ts'

export interface DeployOptions {
  readonly session: Omit<SessionOptions, 'signal'>
  readonly source: Omit<ShipOptions, 'outDirectory' | 'onEvent'>
  readonly alias: string
  readonly domains: readonly string[] | undefined
  readonly settings: RunSettings
  readonly signingKey: AbsolutePath | undefined
  readonly dryRun: boolean
  /** Nothing for people: the result is printed as JSON. */
  readonly quiet: boolean
}

type Done = Extract<DeploymentEvent, { event: 'done' }>
type Failed = Extract<DeploymentEvent, { event: 'failed' }>

export interface DeployResult extends Omit<Done, 'event'> {
  readonly project: string
  readonly alias: string
  readonly daemon: string
  readonly dryRun: boolean
  readonly archives: readonly Omit<Archive, 'file' | 'signature'>[]
}

/** From a folder to a daemon that serves it. Ctrl-C gives up: what is not switched by then never is. */
export async function deployProject(options: DeployOptions): Promise<DeployResult> {
  const { openSession } = await import('../daemon/client/session.ts')
  using interruption = new Interruption()
  using scratch = new Scratch()
  const view = new DeployView(options.quiet)
  try {
    const client = await openSession({ ...options.session, signal: interruption.signal })
    // Whether the daemon can be asked, and what it wants, is known before the work begins.
    const { requiresSignature } = await client.info()
    if (requiresSignature && options.signingKey === undefined) throw unsigned()
    view.working('building')
    const project = await build(options, scratch.directory, view)
    interruption.signal.throwIfAborted()
    return await ship({ client, project, options, view, directory: scratch.directory })
  } catch (error) {
    view.clear()
    throw interruption.signal.aborted ? interrupted(error) : error
  }
}

interface Shipping {
  readonly client: DaemonClient
  readonly project: ShippedProject
  readonly options: DeployOptions
  readonly view: DeployView
  readonly directory: AbsolutePath
}

async function ship({ client, project, options, view, directory }: Shipping): Promise<DeployResult> {
  const { deploymentBody, mainPart, packProject, uploadArchives } =
    await import('../daemon/client/shipment.ts')
  const { alias, domains, settings, signingKey, dryRun } = options
  view.working('packing')
  const archives = await packProject(project, {
    directory,
    signingKey,
    passphrase: options.session.environment['FLEXI_SIGN_PASSPHRASE'],
  })
  for (const archive of archives) view.packed(archive)
  const body = deploymentBody(project, { alias, archives, settings, domains, dryRun })
  if (!dryRun) {
    // What would be refused is refused before megabytes are sent.
    await follow(client.deploy({ ...body, dryRun: true }), { alias, view: new DeployView(true) })
    await uploadArchives(client, archives, view.upload)
  }
  const { event: _, ...done } = await follow(client.deploy(body), { view, alias })
  const about = { project: project.name, alias, daemon: client.address.name, dryRun }
  const main = mainPart(project)
  view.deployed({ ...about, ...done, url: done.functions.find(({ name }) => name === main)?.urls[0] })
  return {
    ...about,
    ...done,
    archives: archives.map(({ name, digest, bytes }) => ({ name, digest, bytes })),
  }
}

async function build(
  { source }: DeployOptions,
  directory: AbsolutePath,
  view: DeployView,
): Promise<ShippedProject> {
  const { shipProject } = await import('../app/shipping.ts')
  const outDirectory = join(directory, 'build') as AbsolutePath
  const project = await shipProject({ ...source, outDirectory, onEvent: view.build })
  if (project.functions.length > 0 || project.routes !== undefined) return project
  throw new FlexiError('FLEXI_NO_INPUT', `there is nothing to deploy in ${source.directory}`, {
    hint: 'See "flexi check" for what is found there.',
  })
}

/** Shows a deployment to its end. @throws FlexiError with the daemon's code, and what the function printed, when it failed. */
async function follow(
  events: AsyncIterable<DeploymentEvent>,
  { view, alias }: { readonly view: DeployView; readonly alias: string },
): Promise<Done> {
  for await (const event of events) {
    if (event.event === 'done') return event
    if (event.event === 'failed') throw await failure(event, { alias, log: view.showsLogs ? [] : event.log })
    view.step(event)
  }
  throw new FlexiError('FLEXI_DAEMON', 'the daemon ended before the deployment did')
}

/** `log` is what people have not seen yet. */
async function failure(
  { code, message, hint, function: name }: Failed,
  { alias, log }: { readonly alias: string; readonly log: readonly string[] },
): Promise<FlexiError> {
  const { knownCode } = await import('../daemon/client/failures.ts')
  const printed =
    log.length === 0 ? [] : [`${name ?? 'it'} printed last:`, ...log.map((line) => `  ${line}`), '']
  const text = [message, '', ...printed, `"${alias}" was not moved.`].join('\n')
  return new FlexiError(knownCode(code) ?? 'FLEXI_DEPLOY', text, hint === undefined ? {} : { hint })
}

function unsigned(): FlexiError {
  return new FlexiError('FLEXI_SIGNATURE', 'the daemon takes signed deployments alone', {
    hint: 'Name the key with --sign.',
  })
}

function interrupted(error: unknown): unknown {
  if (error instanceof FlexiError && error.code !== 'FLEXI_DAEMON') return error
  warn('given up; "flexi deployments" says how far it came')
  return new ExitError(130)
}

/** Nobody has to be told that it began, that all are ready once each of them is, and twice that it failed. */
function isPlain(event: Extract<DeploymentEvent, { event: 'state' }>): boolean {
  if (event.state === 'failed') return true
  return event.function === undefined && (event.state === 'received' || event.state === 'ready')
}

/** What people see of it, on stderr: the result alone is the command's output. */
class DeployView {
  readonly #quiet: boolean
  /** Whether what functions print is on the screen already. */
  showsLogs = false
  readonly #paint = paintFor(process.stderr, process.env)
  readonly #lines = new StatusLine(process.stderr, { terminal: process.stderr.isTTY })

  constructor(quiet: boolean) {
    this.#quiet = quiet
  }

  readonly build = (event: DevEvent): void => {
    if (event.event === 'ready' || event.event === 'request') return
    this.#print(eventLines(event, { paint: this.#paint, directory: process.cwd() }))
  }

  /** On a terminal, until there is more to say. */
  working(step: string): void {
    if (!this.#quiet) this.#lines.status(() => stepLine({ paint: this.#paint, step }))
  }

  packed({ name, bytes, signature }: Archive): void {
    const note = `${byteSize(bytes)}${signature === undefined ? '' : ', signed'}`
    this.#print([stepLine({ paint: this.#paint, name, step: 'packed', note })])
  }

  readonly upload = (event: UploadEvent): void => {
    const { name, bytes } = event.archive
    const paint = this.#paint
    if (event.event === 'sending') {
      if (!this.#quiet)
        this.#lines.status(() => uploadLine(name, { sentBytes: event.sentBytes, bytes }, paint))
    } else if (event.event === 'present') this.#print([stepLine({ paint, name, step: 'is there already' })])
    else {
      const note = `${byteSize(bytes)} in ${duration(event.durationMs)}`
      this.#print([stepLine({ paint, name, step: 'uploaded', note })])
    }
  }

  step(event: Exclude<DeploymentEvent, Done | Failed>): void {
    const paint = this.#paint
    if (event.event === 'log') {
      this.showsLogs = !this.#quiet
      this.#print(functionLines(event.function, event.text, paint))
    } else if (!isPlain(event)) this.#print([stepLine({ paint, name: event.function, step: event.state })])
  }

  deployed(result: Parameters<typeof deployedLines>[0]): void {
    if (this.#quiet) return
    this.#lines.clear()
    process.stdout.write(`${deployedLines(result, paintFor(process.stdout, process.env)).join('\n')}\n`)
  }

  clear(): void {
    this.#lines.clear()
  }

  #print(lines: readonly string[]): void {
    if (!this.#quiet) for (const line of lines) this.#lines.print(line)
  }
}

/** Ctrl-C, once; a second one ends the process as ever. */
class Interruption implements Disposable {
  readonly #controller = new AbortController()
  readonly signal = this.#controller.signal
  readonly #abort = (): void => this.#controller.abort()

  constructor() {
    process.once('SIGINT', this.#abort).once('SIGTERM', this.#abort)
  }

  [Symbol.dispose](): void {
    process.off('SIGINT', this.#abort).off('SIGTERM', this.#abort)
  }
}

/** A folder that is gone when the command ends, however that is. */
class Scratch implements Disposable {
  readonly directory = mkdtempSync(join(tmpdir(), 'flexi-deploy-')) as AbsolutePath
  readonly #remove = (): void => rmSync(this.directory, { recursive: true, force: true })

  constructor() {
    process.once('exit', this.#remove)
  }

  [Symbol.dispose](): void {
    process.off('exit', this.#remove)
    this.#remove()
  }
}
