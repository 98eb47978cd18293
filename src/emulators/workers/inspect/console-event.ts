import { isForTerminal, readMark } from '../console-module.ts'
import type { ThrownRecord } from '../facade.ts'
import { asArray, asText, parseObject, type DebuggerEvent, type Params } from './protocol.ts'
import { isOurScript } from './scripts.ts'

/** A call of `console` without what our modules add to it; undefined when the debugger hears of it by another call. */
export function consoleEvent(event: DebuggerEvent, token: string): DebuggerEvent | undefined {
  const args = asArray(event.params['args']) as readonly Params[]
  const text = asText(args[0]?.['value'])
  const marked = token === '' ? undefined : readMark(text, token)
  if (marked !== undefined && isForTerminal(text, token)) return undefined
  const stackTrace = withoutOurFrames(event.params['stackTrace'])
  const values = marked === undefined ? args : unmarked(args, { text, token })
  return {
    ...event,
    params: { ...event.params, args: values, ...(stackTrace === undefined ? {} : { stackTrace }) },
  }
}

function unmarked(
  [, ...rest]: readonly Params[],
  { text, token }: { readonly text: string; readonly token: string },
): readonly Params[] {
  const kind = /^[^:;]*([:;])/.exec(text)?.[1]
  if (kind !== ':') return rest
  const value = text.slice(text.indexOf(':') + 1)
  return [
    { type: 'string', value: value.startsWith(`flexi-fault-${token}`) ? thrown(value) : value },
    ...rest,
  ]
}

/** `flexi-fault-… {"name":…}`: what was thrown and nobody caught. */
function thrown(text: string): string {
  const record = parseObject(text.slice(text.indexOf('{'))) as Partial<ThrownRecord> | undefined
  if (record === undefined) return text
  const { name = 'Error', message = '', stack, source } = record
  return `Uncaught${source === undefined ? '' : ` (${source})`} ${stack ?? `${name}: ${message}`}`
}

function withoutOurFrames(trace: unknown): Params | undefined {
  if (typeof trace !== 'object' || trace === null) return undefined
  const frames = asArray((trace as Params)['callFrames']) as readonly Params[]
  return { ...trace, callFrames: frames.filter((frame) => !isOurScript(asText(frame['url']))) }
}
