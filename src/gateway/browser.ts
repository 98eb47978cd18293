import type { IncomingMessage } from 'node:http'

/** A person looks at the answer: a navigation of a browser, not its scripts, images or other programs. */
export function wantsPage(incoming: IncomingMessage): boolean {
  const { headers, method } = incoming
  if (headers.accept?.includes('text/html') !== true) return false
  const destination = headers['sec-fetch-dest']
  if (destination === undefined) return method === 'GET' || method === 'HEAD'
  return destination === 'document' || destination === 'iframe' || destination === 'frame'
}
