import type { Definition } from '../definition.ts'
import type { Invocation, Outcome, PrintedLine } from '../environments/environment.ts'
import type { Report } from '../report.ts'
import {
  noteOutcome,
  printedRecord,
  reportRecord,
  runtimeDoneRecord,
  startRecord,
  traced,
  type Traced,
} from './invocation-records.ts'
import type { Telemetry } from './telemetry.ts'

export interface EnvironmentTelemetryOptions {
  readonly telemetry: Telemetry
  readonly definition: Definition
  /** `nodejs20.x` and the version that really runs. */
  readonly runtime: { readonly name: string; readonly version: string }
  /** All that the function has. */
  readonly variables: Readonly<Record<string, string>>
}

/** Tells what happens to one environment in the words of the Telemetry API. */
export class EnvironmentTelemetry {
  readonly #options: EnvironmentTelemetryOptions
  readonly #telemetry: Telemetry
  readonly #startedAt = performance.now()
  readonly #phase: object
  #current: Traced | undefined
  /** X-Ray's header of the last invocation, which is reported after its end. */
  #trace: string | undefined

  constructor(options: EnvironmentTelemetryOptions) {
    this.#options = options
    this.#telemetry = options.telemetry
    const initializationType = options.variables['AWS_LAMBDA_INITIALIZATION_TYPE'] ?? 'on-demand'
    this.#phase = { initializationType, phase: 'init' }
  }

  initStart(): void {
    const { definition, runtime } = this.#options
    this.#telemetry.emit('platform.initStart', {
      ...this.#phase,
      functionName: definition.functionName,
      functionVersion: definition.version,
      runtimeVersion: `${runtime.name}.v${runtime.version}`,
      runtimeVersionArn: `arn:aws:lambda:local::runtime:${runtime.name}`,
    })
  }

  initRuntimeDone(error: Buffer | undefined): void {
    this.#telemetry.emit('platform.initRuntimeDone', { ...this.#phase, status: statusOf(error) })
  }

  initReport(error: Buffer | undefined): void {
    const durationMs = Math.round((performance.now() - this.#startedAt) * 1000) / 1000
    this.#telemetry.emit('platform.initReport', {
      ...this.#phase,
      status: statusOf(error),
      metrics: { durationMs },
    })
  }

  extensionReady(name: string, events: readonly string[]): void {
    this.#telemetry.emit('platform.extension', { name, state: 'Ready', events })
  }

  start(invocation: Invocation): void {
    this.#current = traced(invocation)
    this.#trace = invocation.trace
    this.#telemetry.emit('platform.start', startRecord(invocation, this.#options.definition.version))
  }

  responded(): void {
    if (this.#current !== undefined) this.#current.respondedAt = performance.now()
  }

  produced(bytes: number): void {
    if (this.#current !== undefined) this.#current.producedBytes += bytes
  }

  done(outcome: Outcome): void {
    if (this.#current !== undefined) noteOutcome(this.#current, outcome)
  }

  /** The runtime is back, or will not be: then `broken` says why. */
  runtimeDone(broken?: 'timeout' | 'failure'): void {
    const current = this.#current
    if (current === undefined) return
    this.#current = undefined
    if (broken !== undefined && current.status === undefined) current.status = broken
    this.#telemetry.emit('platform.runtimeDone', runtimeDoneRecord(current))
  }

  report(report: Report): void {
    this.#telemetry.emit('platform.report', reportRecord(report, this.#trace))
  }

  fault(errorType: string, message: string): void {
    if (this.#current !== undefined) this.#current.errorType = errorType
    this.#telemetry.emit('platform.fault', `${message}\n${errorType}`)
  }

  printed(line: PrintedLine): void {
    if (!this.#telemetry.isHeard) return
    this.#telemetry.emit('function', printedRecord(line, this.#current?.invocation.id))
  }

  extensionPrinted(text: string): void {
    this.#telemetry.emit('extension', `${text}\n`)
  }
}

function statusOf(error: Buffer | undefined): 'success' | 'error' {
  return error === undefined ? 'success' : 'error'
}
