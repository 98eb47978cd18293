import type { FunctionFault, OutputLine } from './function.ts'
import type { AbsolutePath, Fault } from './place.ts'

/** One function as the ready event and the banner show it. */
export interface FunctionSummary {
  readonly name: string
  readonly provider: string
  /** The function's own address: `http://127.0.0.1:8069/_flexi/f/NAME/`. */
  readonly url: string
  /** Of a server of its own. */
  readonly port?: number | undefined
}

export interface RouteSummary {
  readonly pattern: string
  readonly target: string
}

/** One finished exchange: the access line's content. */
export interface AccessRecord {
  readonly id: string
  /** X-Request-Id as the client sent it, when it is fit to be logged; upstreams got it too. */
  readonly traceId?: string | undefined
  readonly clientAddress: string
  readonly clientPort: number
  readonly method: string
  readonly target: string
  readonly httpVersion: string
  readonly status: number
  /** Body bytes sent. */
  readonly bytes: number
  readonly ttfbMs: number
  readonly ttlbMs: number
  readonly route: string | undefined
  /** True when the exchange did not end as it should have: client gone, upstream cut. */
  readonly aborted: boolean
  /** What the fetcher noted: `{ function, preAlloc, alloc }`. */
  readonly notes: Readonly<Record<string, unknown>>
}

/** Field by field: a spread behind another field costs a request ten times as much. */
export function requestEvent(record: AccessRecord): DevEvent {
  return {
    event: 'request',
    id: record.id,
    traceId: record.traceId,
    clientAddress: record.clientAddress,
    clientPort: record.clientPort,
    method: record.method,
    target: record.target,
    httpVersion: record.httpVersion,
    status: record.status,
    bytes: record.bytes,
    ttfbMs: record.ttfbMs,
    ttlbMs: record.ttlbMs,
    route: record.route,
    aborted: record.aborted,
    notes: record.notes,
  }
}

/** What `flexi dev` tells its reader, in the terminal or one JSON object a line. */
export type DevEvent =
  | {
      readonly event: 'ready'
      readonly url: string
      readonly functions: readonly FunctionSummary[]
      readonly routes: readonly RouteSummary[]
      readonly durationMs: number
      /** Where functions come from, of a folder that may be empty: the base URL of a provider's API. */
      readonly api?: string | undefined
    }
  | ({ readonly event: 'request' } & AccessRecord)
  | {
      readonly event: 'reload'
      readonly function: string
      readonly revision: string
      readonly files: readonly string[]
      readonly durationMs: number
    }
  | {
      readonly event: 'configuration'
      readonly functions: readonly FunctionSummary[]
      readonly routes: readonly RouteSummary[]
      readonly durationMs: number
    }
  | {
      readonly event: 'error'
      readonly code: string
      readonly message: string
      readonly function?: string | undefined
      readonly faults: readonly Fault[]
      readonly hint?: string | undefined
    }
  | ({ readonly event: 'fault' } & FunctionFault)
  | ({ readonly event: 'log'; readonly function: string } & OutputLine)
  | { readonly event: 'warning'; readonly message: string; readonly function?: string | undefined }
  /** A certificate authority was made, which nobody trusts yet: its certificate, and how programs are told of it. */
  | {
      readonly event: 'authority'
      readonly file: AbsolutePath
      readonly hints: readonly { readonly name: string; readonly line: string }[]
    }
  | { readonly event: 'closing' }
