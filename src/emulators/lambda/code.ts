import type { IncomingMessage, ServerResponse } from 'node:http'

import type { FlexiError } from '../../core/errors.ts'
import type { RequestContext } from '../../core/fetcher.ts'
import type { Code, FunctionFault, Instance } from '../../core/function.ts'
import type { Revision } from '../../core/place.ts'
import type { Definition } from './definition.ts'
import { frontEndOf } from './front-ends/front-ends.ts'
import { passageOf } from './front-ends/passage.ts'
import { sendAnswer } from './front-ends/send.ts'
import { traceOf } from './trace.ts'

export interface LambdaCodeOptions {
  readonly definition: Definition
  readonly revision: Revision
  /** Its environments take one invocation ahead. */
  readonly ahead?: boolean | undefined
  readonly start: () => Promise<Instance>
}

/** Built code as the pool takes it: one invocation at a time an environment. */
export function lambdaCode({ definition, revision, ahead, start }: LambdaCodeOptions): Code {
  const debugged = definition.scope.inspectPort !== undefined
  return {
    revision,
    concurrency: 1,
    ahead,
    instancesMin: definition.provisioned,
    // A debugger has one port: a second environment could not be attached to.
    instancesMax: debugged ? 1 : undefined,
    exclusive: debugged,
    startsPaused: definition.scope.breakAtStart === true,
    start,
    refuse,
  }
}

const THROTTLED: ReadonlySet<string> = new Set(['FLEXI_QUEUE_FULL', 'FLEXI_THROTTLED'])

function refuse(
  error: FlexiError,
  { outgoing, context }: { incoming: IncomingMessage; outgoing: ServerResponse; context: RequestContext },
): void {
  const fault = faultOf(error)
  if (fault !== undefined && context.explain({ ...fault, requestId: context.id }, outgoing)) return
  const frontEnd = frontEndOf(context)
  const answer = frontEnd.refuse(THROTTLED.has(error.code) ? 'throttled' : 'function-error')
  const retry = error.retryAfterSeconds === undefined ? [] : ['retry-after', String(error.retryAfterSeconds)]
  const request = { context, trace: traceOf(context), passage: passageOf(context) }
  sendAnswer(outgoing, { ...answer, fields: [...answer.fields, ...retry] }, { frontEnd, request })
}

/** The cause of a failed Init is its `Failure`. */
function faultOf({ cause }: FlexiError): FunctionFault | undefined {
  return typeof cause === 'object' && cause !== null && 'fault' in cause
    ? (cause.fault as FunctionFault)
    : undefined
}
