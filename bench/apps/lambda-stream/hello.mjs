/* global awslambda */
// The second part comes later: who has the first one soon has it from a stream.
export const handler = awslambda.streamifyResponse(async (event, stream) => {
  stream.write('first')
  await new Promise((resolve) => setTimeout(resolve, 20))
  stream.end('second')
})
