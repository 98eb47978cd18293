import { setTimeout as sleep } from 'node:timers/promises'

// `awslambda` is a global of Lambda's Node runtime. A streamed response reaches the client as it is written.
export const handler = awslambda.streamifyResponse(async (event, stream) => {
  const response = awslambda.HttpResponseStream.from(stream, {
    statusCode: 200,
    headers: { 'content-type': 'text/event-stream' },
  })
  const ticks = Math.min(60, Number(event.queryStringParameters?.n ?? 5))
  for (let tick = 1; tick <= ticks; tick += 1) {
    response.write(`data: tick ${tick}\n\n`)
    await sleep(Number(event.queryStringParameters?.ms ?? 1000))
  }
  response.end()
})
