import type { HostContext, InvokeHead } from '../protocol.ts'

/** Node style: an error first, or the result. */
export type Callback = (error: unknown, result?: unknown) => void

/** The handler's second argument. */
export interface Context {
  /** A callback's result waits for the event loop to run empty, unless the handler says otherwise. */
  callbackWaitsForEmptyEventLoop: boolean
}

/** Methods are closures, because handlers take them off the object. */
export function invocationContext(fixed: HostContext, head: InvokeHead, callback: Callback): Context {
  const deadline = Number(head.deadline)
  return {
    callbackWaitsForEmptyEventLoop: true,
    functionVersion: fixed.functionVersion,
    functionName: fixed.functionName,
    memoryLimitInMB: fixed.memoryLimitInMB,
    logGroupName: fixed.logGroupName,
    logStreamName: fixed.logStreamName,
    clientContext:
      head.clientContext === '' ? undefined : (JSON.parse(decodeURIComponent(head.clientContext)) as unknown),
    identity: undefined,
    invokedFunctionArn: head.functionArn === '' ? fixed.invokedFunctionArn : head.functionArn,
    awsRequestId: head.id,
    getRemainingTimeInMillis: () => deadline - Date.now(),
    ...(fixed.callbacks ? answersBy(callback) : {}),
  } as Context
}

/** The ways of old to answer. */
function answersBy(callback: Callback): object {
  return {
    succeed: (result: unknown) => callback(null, result),
    fail: (error: unknown) => callback(error ?? new Error('handled')),
    done: (error: unknown, result?: unknown) => callback(error, result),
  }
}
