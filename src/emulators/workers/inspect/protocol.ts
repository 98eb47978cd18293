/** The DevTools protocol, as far as it is looked at here. Source: https://chromedevtools.github.io/devtools-protocol/v8/ */
export interface Command {
  readonly id: number
  readonly method: string
  readonly params?: Params | undefined
}

export type Params = Readonly<Record<string, unknown>>

export interface Reply {
  readonly id: number
  readonly result?: Params | undefined
  readonly error?: { readonly code: number; readonly message: string } | undefined
}

export interface DebuggerEvent {
  readonly method: string
  readonly params: Params
}

/** Ids of commands of our own: no client counts so far. */
export const OWN_IDS = 1_000_000_000

export function parseCommand(text: string): Command | undefined {
  const parsed = parseObject(text)
  return typeof parsed?.['id'] === 'number' && typeof parsed['method'] === 'string'
    ? (parsed as unknown as Command)
    : undefined
}

/** What a message from the runtime is, without reading more of it than must be: a heap snapshot comes in hundreds of megabytes. */
export function methodOf(text: string): string | undefined {
  return /^\{"method":"([\w.]+)"/.exec(text.slice(0, 80))?.[1]
}

export function parseEvent(text: string): DebuggerEvent | undefined {
  const parsed = parseObject(text)
  return typeof parsed?.['method'] === 'string' ? (parsed as unknown as DebuggerEvent) : undefined
}

/** The id of a reply; replies to some commands are as big as snapshots. */
export function replyId(text: string): number | undefined {
  const id = /^\{"id":(\d+)/.exec(text.slice(0, 40))?.[1]
  if (id !== undefined) return Number(id)
  const parsed = text.length < 65_536 ? parseObject(text) : undefined
  return typeof parsed?.['id'] === 'number' ? parsed['id'] : undefined
}

export function parseReply(text: string): Reply | undefined {
  const parsed = parseObject(text)
  return typeof parsed?.['id'] === 'number' ? (parsed as unknown as Reply) : undefined
}

export function parseObject(text: string): Params | undefined {
  try {
    const parsed: unknown = JSON.parse(text)
    return typeof parsed === 'object' && parsed !== null ? (parsed as Params) : undefined
  } catch {
    return undefined
  }
}

export function asArray(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

export function asText(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

export function asNumber(value: unknown): number {
  return typeof value === 'number' ? value : 0
}

/** The id of the script that stands still. */
export function topScript({ params }: DebuggerEvent): string {
  const [frame] = asArray(params['callFrames']) as readonly {
    readonly location?: { readonly scriptId?: string }
  }[]
  return frame?.location?.scriptId ?? ''
}
