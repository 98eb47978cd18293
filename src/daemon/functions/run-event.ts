import { emulatorOf } from '../../emulators/registry.ts'
import { FlexiError } from '../../core/errors.ts'
import type { InvokeResult } from '../../core/function.ts'
import type { FunctionEvent } from '../../core/schedule.ts'
import type { RunContext } from '../runtime.ts'
import type { DeployedVersion } from './deployed-version.ts'
import { inTime, untilAborted } from './time-limit.ts'

/** What Lambda and Cloudflare give to what is no request. */
const RUN_MS_MAX = 900_000

/** Runs a version with an event on an instance that is leased meanwhile. */
export async function runEvent(
  version: DeployedVersion,
  event: FunctionEvent,
  { id, signal }: RunContext,
): Promise<InvokeResult> {
  const limit = new AbortController()
  const both = AbortSignal.any([signal, limit.signal])
  const running = untilAborted(started(version, event, { id, signal: both }), both)
  try {
    return await inTime(running, RUN_MS_MAX, () => tookTooLong(version.name))
  } catch (error) {
    limit.abort(error)
    throw error
  }
}

async function started(
  version: DeployedVersion,
  { source, event }: FunctionEvent,
  context: RunContext,
): Promise<InvokeResult> {
  const pool = await version.pool()
  if (source === undefined) {
    const deadline = Date.now() + RUN_MS_MAX
    return await pool.invoke(Buffer.from(JSON.stringify(event)), { ...context, deadline, unlogged: true })
  }
  const { name, config } = version.record
  const { runEvent: run } = emulatorOf(config.provider)
  if (run === undefined)
    throw new FlexiError('FLEXI_USAGE', `${version.name}: functions of ${config.provider} take no ${source}`)
  return await pool.lease(() => untilAborted(run({ app: version.app, name, source, event }), context.signal))
}

function tookTooLong(name: string): FlexiError {
  return new FlexiError('FLEXI_FUNCTION_TIMEOUT', `${name} did not come to an end within 15 minutes`)
}
