import type { FunctionFault } from '../../core/function.ts'
import { formatFault } from '../../core/place.ts'

const KINDS = {
  throw: 'threw',
  init: 'could not start',
  crash: 'crashed',
  timeout: 'timed out',
  memory: 'ran out of memory',
  result: 'returned what its caller cannot use',
  build: 'could not be built',
} as const satisfies Record<FunctionFault['kind'], string>

/** A fault as a function's log has it: what happened, and its stack, or the place it is about. */
export function faultText(fault: FunctionFault): string {
  const title = `${KINDS[fault.kind]}: ${fault.name}: ${fault.message}`
  const place = fault.frame === undefined ? undefined : formatFault(fault.frame)
  return [title, framesOf(fault) ?? place, fault.hint].filter((part) => part !== undefined).join('\n')
}

/** Without the message, which the title has. */
function framesOf({ stack }: FunctionFault): string | undefined {
  const at = stack?.search(/^\s+at /m) ?? -1
  return at === -1 ? undefined : stack?.slice(at)
}
