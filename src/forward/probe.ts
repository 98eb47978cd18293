import type { Dispatcher } from './dispatcher.ts'
import type { Http2Connection, Http2Pool } from './http2-pool.ts'
import { upstreamError } from './upstream-error.ts'

/** A GET of our own, of whose answer only the status counts. */
export interface Question {
  /** `http://127.0.0.1:3000` */
  readonly origin: string
  readonly host: string
  readonly path: string
  /** For all of it. */
  readonly timeoutMs: number
}

const USER_AGENT = 'flexi-health'

/** @throws UpstreamError when no status comes in time. */
export function probeHttp1(dispatcher: Dispatcher, question: Question): Promise<number> {
  const { origin, host, path, timeoutMs } = question
  return new Promise((resolve, reject) => {
    let over = false
    let abort: ((error?: Error) => void) | undefined
    const end = (): boolean => {
      clearTimeout(timer)
      return !over && (over = true)
    }
    const timer = setTimeout(() => {
      if (end()) reject(upstreamError(origin, SILENT, true))
      abort?.()
    }, timeoutMs)
    const headers = ['Host', host, 'User-Agent', USER_AGENT, 'Accept', '*/*']
    dispatcher.dispatch(
      {
        origin,
        path,
        method: 'GET',
        headers,
        headersTimeout: timeoutMs,
        bodyTimeout: timeoutMs,
        ...ONE_SERVER_NAME,
      },
      {
        onConnect(stop) {
          abort = stop
          if (over) stop()
        },
        onHeaders(status) {
          if (status >= 200 && end()) resolve(status)
          return true
        },
        onData: () => true,
        onComplete: () => undefined,
        onError(error) {
          if (end()) reject(upstreamError(origin, error, true))
        },
      },
    )
  })
}

const ONE_SERVER_NAME: object = { servername: 'upstream' }
const SILENT = Object.assign(new Error('no answer in time'), { code: 'UND_ERR_HEADERS_TIMEOUT' })

/** Undefined when the origin chose HTTP/1.1. @throws UpstreamError as `probeHttp1`. */
export async function probeHttp2(pool: Http2Pool, question: Question): Promise<number | undefined> {
  const { origin, timeoutMs } = question
  let timer: NodeJS.Timeout | undefined
  const silence = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(SILENT), timeoutMs)
  })
  try {
    return await Promise.race([ask(pool, question), silence])
  } catch (error) {
    throw upstreamError(origin, error, true)
  } finally {
    clearTimeout(timer)
  }
}

async function ask(pool: Http2Pool, question: Question): Promise<number | undefined> {
  const connection = await pool.acquire()
  return connection === undefined ? undefined : askOn(connection, question)
}

function askOn(connection: Http2Connection, { origin, host, path, timeoutMs }: Question): Promise<number> {
  return new Promise((resolve, reject) => {
    const scheme = origin.slice(0, origin.indexOf(':'))
    const head = { ':method': 'GET', ':scheme': scheme, ':authority': host, ':path': path }
    const stream = connection.request({ ...head, 'user-agent': USER_AGENT, accept: '*/*' }, true)
    stream.setTimeout(timeoutMs, () => stream.close(CANCEL))
    stream.on('response', (answer) => resolve(Number(answer[':status'])))
    stream.on('error', reject)
    stream.on('close', () => reject(new Error('the stream was closed')))
    stream.resume()
  })
}

/** NGHTTP2_CANCEL */
const CANCEL = 8
