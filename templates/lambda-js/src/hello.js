// What is up here runs once an environment, before its first request.
const greeting = process.env.GREETING ?? 'Hi'
let count = 0

export const handler = async (event, context) => {
  count += 1
  const { method, path } = event.requestContext.http
  console.info(method, path, { count, left: context.getRemainingTimeInMillis() })

  if (method === 'POST') return json(200, { received: bodyOf(event), requestId: context.awsRequestId })
  if (path !== '/') return json(404, { message: `there is nothing at ${path}` })
  const name = event.queryStringParameters?.name ?? 'world'
  return json(200, { message: `${greeting}, ${name}!`, count })
}

/** Bodies that are no text come in Base64. */
function bodyOf({ body = '', isBase64Encoded }) {
  return isBase64Encoded ? Buffer.from(body, 'base64').toString() : body
}

function json(statusCode, value) {
  return { statusCode, headers: { 'content-type': 'application/json' }, body: JSON.stringify(value) }
}
