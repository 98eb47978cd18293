import type { Readable } from 'node:stream'
import { json, text } from 'node:stream/consumers'

import { ERROR_CODES, FlexiError, type ErrorCode } from '../../../core/errors.ts'
import type { Control, ControlAnswer } from '../control/control.ts'

export type StateKind = 'kv' | 'r2' | 'd1' | 'queue' | 'secret'

/** One thing that is stored: what `env` of the control worker is keyed by. */
export interface StateResource {
  readonly control: Control
  readonly kind: StateKind
  /** A namespace's id, a bucket's name, `STORE/NAME` of a secret … */
  readonly id: string
}

export interface StateRequest {
  readonly method: string
  /** The last segment of the target: `keys`, `value`, `object`, `batch` … */
  readonly operation: string
  readonly query?: Readonly<Record<string, string | number | undefined>> | undefined
  readonly fields?: Readonly<Record<string, string>> | undefined
  readonly body?: Uint8Array | Readable | undefined
}

/** What the runtime says about a request that it refuses, or the server before it. */
export class StateRefusal extends FlexiError {
  /** The statement of a batch that failed; counts from 0. */
  readonly statement: number | undefined

  constructor({ message, code, hint, statement }: Refusal) {
    // The words of the API inside the runtime, which nobody here has called.
    const told = message.replace(/^KV [A-Z]+ failed: \d+ /, '')
    super(isCode(code) ? code : 'FLEXI_BAD_REQUEST', told, hint === undefined ? {} : { hint })
    this.statement = statement
  }
}

function isCode(code: string | undefined): code is ErrorCode {
  return code !== undefined && code in ERROR_CODES
}

interface Refusal {
  readonly message: string
  readonly missing?: boolean | undefined
  readonly statement?: number | undefined
  readonly code?: string | undefined
  readonly hint?: string | undefined
}

/** @throws StateRefusal; undefined when what was asked for is not there. */
export async function askState(
  { control, kind, id }: StateResource,
  { method, operation, query = {}, fields, body }: StateRequest,
): Promise<ControlAnswer | undefined> {
  const path = ['state', kind, ...id.split('/'), operation].map(component)
  const pairs = Object.entries(query).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${component(String(value))}`],
  )
  const target = `/${path.join('/')}${pairs.length === 0 ? '' : `?${pairs.join('&')}`}`
  const answer = await control.ask({ method, target, fields, body })
  if (answer.status < 400) return answer
  const refusal = parseRefusal(await text(answer.body), answer.status)
  if (refusal.missing === true) return undefined
  throw new StateRefusal(refusal)
}

export async function askJson<T>(resource: StateResource, request: StateRequest): Promise<T> {
  const answer = await askState(resource, request)
  if (answer === undefined) throw new StateRefusal({ message: `${resource.id} is not there` })
  return (await json(answer.body)) as T
}

/** For what answers nothing. */
export async function tellState(resource: StateResource, request: StateRequest): Promise<boolean> {
  const answer = await askState(resource, request)
  answer?.body.resume()
  return answer !== undefined
}

/** Fields hold ASCII alone. */
export const fieldText = (value: unknown): string => encodeURIComponent(JSON.stringify(value))

export function fieldValue<T>(field: string | undefined): T | undefined {
  return field === undefined ? undefined : (JSON.parse(decodeURIComponent(field)) as T)
}

/** @throws StateRefusal for half of a surrogate pair, which no UTF-8 can say. */
function component(value: string): string {
  try {
    return encodeURIComponent(value)
  } catch {
    throw new StateRefusal({ message: `${JSON.stringify(value)} is no text that UTF-8 can write` })
  }
}

function parseRefusal(body: string, status: number): Refusal {
  try {
    const refusal = JSON.parse(body) as Partial<Refusal> & { readonly detail?: string }
    const message = refusal.message ?? refusal.detail
    if (message !== undefined) return { ...refusal, message }
  } catch {
    // Not from the control worker, then.
  }
  return { message: body === '' ? `the runtime answered ${status}` : body }
}
