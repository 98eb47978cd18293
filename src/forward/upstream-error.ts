import { FlexiError, type ErrorCode } from '../core/errors.ts'

/** An upstream failed before it sent a head. */
export class UpstreamError extends FlexiError {
  /** False when no byte of the request left: it may go to another upstream whatever its method. */
  readonly sent: boolean

  constructor(code: ErrorCode, message: string, options: { hint?: string; cause: unknown; sent: boolean }) {
    const { sent, cause, hint } = options
    super(code, message, hint === undefined ? { cause } : { cause, hint })
    this.sent = sent
  }
}

/** Says what an error of undici or of a socket means for a request to `origin`. */
export function upstreamError(origin: string, cause: unknown, sent: boolean): UpstreamError {
  const { code, message, hint } = readFailure(origin, cause)
  return new UpstreamError(code, message, hint === undefined ? { cause, sent } : { cause, sent, hint })
}

/** An answer that the caller would not have: another upstream may give a better one. */
export function givenUp(origin: string, status: number): UpstreamError {
  const cause = new Error(`status ${status}`)
  return new UpstreamError('FLEXI_UPSTREAM_RESPONSE', `${origin} answered ${status}`, { cause, sent: true })
}

interface Failure {
  readonly code: ErrorCode
  readonly message: string
  readonly hint?: string
}

function readFailure(origin: string, cause: unknown): Failure {
  const system = errorCode(cause)
  const text = cause instanceof Error ? cause.message : String(cause)
  const known = FAILURES[system]
  if (known !== undefined) return known(origin)
  if (system === 'UND_ERR_SOCKET' && text.startsWith('bad ')) return badResponse(origin, text)
  const secured = readTlsFailure(origin, system, text)
  if (secured !== undefined) return secured
  if (UNREACHABLE.test(system))
    return { code: 'FLEXI_UPSTREAM_UNREACHABLE', message: `cannot reach ${origin}: ${text}` }
  return badResponse(origin, text)
}

/** What OpenSSL says about a connection, with the setting that mends it. */
function readTlsFailure(origin: string, system: string, text: string): Failure | undefined {
  const known = TLS_FAILURES.find(({ of }) => of.test(system) || of.test(text))
  if (known === undefined) return undefined
  const { says, hint } = known
  return { code: 'FLEXI_UPSTREAM_UNREACHABLE', message: `${origin} ${says}: ${text.trim()}`, hint }
}

/** The first that fits the code or the text of an error. */
const TLS_FAILURES: readonly { readonly of: RegExp; readonly says: string; readonly hint: string }[] = [
  {
    of: /alert.(certificate.required|bad.certificate|unknown.ca|handshake.failure)/i,
    says: 'ended the TLS handshake',
    hint: 'Name a client certificate that it trusts in "tls.cert" and "tls.key" of the upstream.',
  },
  {
    of: /^ERR_TLS_CERT_ALTNAME_INVALID$/,
    says: 'shows a certificate for another name',
    hint: 'Put a name that is in the certificate into "tls.server_name" of the upstream.',
  },
  {
    of: /^CERT_HAS_EXPIRED$/,
    says: 'shows a certificate that cannot be trusted',
    hint: 'Renew it, or set "tls.verify" of the upstream to false.',
  },
  {
    of: /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|^ERR_TLS/,
    says: 'shows a certificate that cannot be trusted',
    hint: 'Name the authority that issued it in "tls.ca" of the upstream, or set "tls.verify" to false.',
  },
  {
    of: /^ERR_SSL_(WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG)$|wrong version number|packet length too long/,
    says: 'does not speak TLS',
    hint: 'Write http:// in place of https://.',
  },
]

const UNREACHABLE = /^E[A-Z]+$|^EAI_|^UND_ERR_(SOCKET|DESTROYED|CLOSED|INFO|ABORTED)$/

const FAILURES: Readonly<Record<string, (origin: string) => Failure>> = {
  ECONNREFUSED: (origin) => ({
    code: 'FLEXI_UPSTREAM_UNREACHABLE',
    message: `nothing listens at ${origin}`,
    hint: 'Start the upstream, or mend its address in the route.',
  }),
  ENOTFOUND: (origin) => ({
    code: 'FLEXI_UPSTREAM_UNREACHABLE',
    message: `the host of ${origin} has no address`,
    hint: 'Check the spelling of the host in the route.',
  }),
  UND_ERR_CONNECT_TIMEOUT: (origin) => timedOut(`${origin} did not accept a connection in time`),
  ETIMEDOUT: (origin) => timedOut(`${origin} did not accept a connection in time`),
  UND_ERR_HEADERS_TIMEOUT: (origin) => timedOut(`${origin} did not answer in time`),
  ERR_FLEXI_HTTP2: (origin) => ({
    code: 'FLEXI_UPSTREAM_RESPONSE',
    message: `${origin} does not speak HTTP/2`,
    hint: 'Take "http2" out of the upstream.',
  }),
  UND_ERR_INVALID_ARG: (origin) => ({
    code: 'FLEXI_BAD_REQUEST',
    message: `the request cannot be forwarded to ${origin}`,
  }),
}

function timedOut(message: string): Failure {
  return { code: 'FLEXI_UPSTREAM_TIMEOUT', message }
}

function badResponse(origin: string, text: string): Failure {
  return { code: 'FLEXI_UPSTREAM_RESPONSE', message: `${origin} sent no valid HTTP response: ${text}` }
}

/** `ECONNRESET`, `UND_ERR_SOCKET`; empty when the error carries none. */
export function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}

/** True when the connection had served a request before: the upstream may have closed it just as this one was sent. */
export function wasReused(error: unknown): boolean {
  const code = errorCode(error)
  if (code === 'ECONNRESET' || code === 'EPIPE') return true
  if (code !== 'UND_ERR_SOCKET' || !(error instanceof Error) || !('socket' in error)) return false
  const { socket } = error
  return (
    typeof socket === 'object' && socket !== null && 'bytesRead' in socket && Number(socket.bytesRead) > 0
  )
}
