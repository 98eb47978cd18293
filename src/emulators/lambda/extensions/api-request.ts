/** A call that an extension makes; the transport is somebody else's. */
export interface ApiRequest {
  readonly method: string
  /** Without a query. */
  readonly path: string
  /** By lower-case name. */
  readonly fields: ReadonlyMap<string, string>
  readonly body: Buffer
  /** Calls back when the client leaves before it was answered. */
  whenClosed?(left: () => void): void
}

export interface ApiAnswer {
  readonly status: number
  readonly fields: Readonly<Record<string, string>>
  readonly body: string
}

export function jsonAnswer(
  status: number,
  body: unknown,
  fields: Readonly<Record<string, string>> = {},
): ApiAnswer {
  return { status, fields: { 'Content-Type': 'application/json', ...fields }, body: JSON.stringify(body) }
}

/** Every refusal has the same shape. */
export function refusal(errorType: string, errorMessage: string, status = 403): ApiAnswer {
  return jsonAnswer(status, { errorMessage, errorType })
}

export function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString())
  } catch {
    return undefined
  }
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
