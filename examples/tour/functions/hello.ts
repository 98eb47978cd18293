interface FunctionUrlEvent {
  rawPath: string
  queryStringParameters?: Record<string, string>
  requestContext: { http: { method: string; sourceIp: string } }
}

interface Context {
  awsRequestId: string
  getRemainingTimeInMillis(): number
}

let calls = 0

/** Answers a function URL: try /hello?name=you, then edit this file and ask again. */
export const handler = async (event: FunctionUrlEvent, context: Context) => {
  calls += 1
  const name = event.queryStringParameters?.['name'] ?? 'world'
  console.log(`greeting ${name}`)
  return {
    message: `Hello, ${name}!`,
    method: event.requestContext.http.method,
    requestId: context.awsRequestId,
    callsOfThisInstance: calls,
    remainingMs: context.getRemainingTimeInMillis(),
  }
}
