import type { Context, HttpEvent, HttpResult } from './lambda.d.ts'

// What is up here runs once an environment, before its first request.
const greeting = process.env['GREETING'] ?? 'Hi'
let count = 0

export const handler = async (event: HttpEvent, context: Context): Promise<HttpResult> => {
  count += 1
  const { method, path } = event.requestContext.http
  console.info(method, path, { count, left: context.getRemainingTimeInMillis() })

  if (method === 'POST') return json(200, { received: bodyOf(event), requestId: context.awsRequestId })
  if (path !== '/') return json(404, { message: `there is nothing at ${path}` })
  const name = event.queryStringParameters?.['name'] ?? 'world'
  return json(200, { message: `${greeting}, ${name}!`, count })
}

function bodyOf(event: HttpEvent): string {
  const { body = '', isBase64Encoded } = event
  return isBase64Encoded ? Buffer.from(body, 'base64').toString() : body
}

function json(statusCode: number, value: unknown): HttpResult {
  return { statusCode, headers: { 'content-type': 'application/json' }, body: JSON.stringify(value) }
}
