import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http'

/** What workerd asks of miniflare in our process, by way of a path. */
export interface Loopback extends AsyncDisposable {
  /** Where miniflare itself listens; nothing is passed on before. */
  leadTo(port: number): void
}

/** What a deployed worker's runtime has to say: lines of queues and workflows, and the address it is found at. */
const ALLOWED: ReadonlySet<string> = new Set(['POST /core/log', 'GET /core/public-url'])
const BODY_BYTES_MAX = 64 * 1024

/**
 * Passes on the little that deployed workers need. The rest of what miniflare offers there (to write files, to read sources, to start a
 * browser, to be led elsewhere by a field) would be done by our process, which may do more than the worker.
 */
export async function openLoopback(path: string): Promise<Loopback> {
  let target: number | undefined
  const server = createServer((incoming, outgoing) => {
    void answer(incoming, outgoing, target).catch(() => outgoing.destroy())
  })
  // It speaks HTTP alone, and waits for nobody.
  server.requestTimeout = 10_000
  server.maxConnections = 64
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, resolve)
  })
  return {
    leadTo(port) {
      target = port
    },
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

async function answer(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  port: number | undefined,
): Promise<void> {
  const { method = '', url = '' } = incoming
  const body = await contentOf(incoming)
  if (port === undefined || body === undefined || !ALLOWED.has(`${method} ${pathOf(url)}`)) {
    outgoing.writeHead(403, { connection: 'close' }).end()
    return
  }
  const asked = request({ host: '127.0.0.1', port, method, path: pathOf(url), headers: fieldsOf(incoming) })
  asked.once('response', (response) => {
    outgoing.writeHead(response.statusCode ?? 502)
    response.pipe(outgoing)
  })
  asked.once('error', () => outgoing.destroy())
  asked.end(body)
}

function pathOf(url: string): string {
  return url.replace(/^http:\/\/[^/]*/, '').replace(/\?.*$/s, '')
}

/** The level of a line, and nothing that leads anywhere. */
function fieldsOf({ headers }: IncomingMessage): Record<string, string> {
  const level = headers['mf-log-level']
  return typeof level === 'string' && /^[0-5]$/.test(level) ? { 'mf-log-level': level } : {}
}

async function contentOf(incoming: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    bytes += chunk.byteLength
    if (bytes > BODY_BYTES_MAX) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
