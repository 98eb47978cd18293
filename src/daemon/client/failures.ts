import { ERROR_CODES, type ErrorCode, FlexiError } from '../../core/errors.ts'
import type { DaemonAddress } from './address.ts'

/** An answer that is none of success. */
export interface Refusal {
  readonly status: number
  readonly contentType: string
  readonly retryAfter: string | undefined
  readonly body: string
}

/** What a daemon refused, in our form: its own code where it says one, otherwise the one of its status. */
export function refusalError(address: DaemonAddress, refusal: Refusal): FlexiError {
  const said = errorBody(refusal.body) ?? silentRefusal(refusal)
  if (said === undefined) return strangerError(address, refusal)
  const code = codeOf(said.code, refusal.status)
  const seconds = Number(refusal.retryAfter)
  const wait = refusal.retryAfter !== undefined && Number.isFinite(seconds) ? seconds : undefined
  return new FlexiError(code, said.message, {
    ...hintOf(said.hint ?? usualHint(code, address, wait)),
    ...(wait === undefined ? {} : { retryAfterSeconds: wait }),
  })
}

/** A code that a daemon told, if it is one of ours: a newer daemon may have others. What is a bug there is none here. */
export function knownCode(code: unknown): ErrorCode | undefined {
  if (code === 'FLEXI_BUG') return 'FLEXI_DAEMON'
  return typeof code === 'string' && Object.hasOwn(ERROR_CODES, code) ? (code as ErrorCode) : undefined
}

function errorBody(body: string): { message: string; code?: unknown; hint?: string | undefined } | undefined {
  try {
    const { error, code, hint } = JSON.parse(body) as Record<string, unknown>
    if (typeof error !== 'string') return undefined
    return { message: error, code, hint: typeof hint === 'string' ? hint : undefined }
  } catch {
    return undefined
  }
}

/** The answer of HEAD has no body. */
function silentRefusal({ status, body }: Refusal): ReturnType<typeof errorBody> {
  if (body !== '') return undefined
  if (status === 401) return { message: 'the daemon wants a token' }
  if (status === 403) return { message: 'the daemon does not let this token do that' }
  if (status === 429) return { message: 'the daemon was asked too often' }
  return undefined
}

const CODE_OF_STATUS: Readonly<Record<number, ErrorCode>> = {
  400: 'FLEXI_BAD_REQUEST',
  401: 'FLEXI_UNAUTHENTICATED',
  403: 'FLEXI_FORBIDDEN',
  404: 'FLEXI_NO_INPUT',
  409: 'FLEXI_CONFLICT',
  413: 'FLEXI_QUOTA',
  422: 'FLEXI_USAGE',
  429: 'FLEXI_RATE_LIMIT',
}

function codeOf(code: unknown, status: number): ErrorCode {
  return knownCode(code) ?? CODE_OF_STATUS[status] ?? 'FLEXI_DAEMON'
}

function usualHint(code: ErrorCode, { name }: DaemonAddress, wait: number | undefined): string | undefined {
  if (code === 'FLEXI_UNAUTHENTICATED') return `Run "flexi login ${name}", or set FLEXI_TOKEN.`
  if (wait !== undefined) return `Try again in ${wait} s.`
  return undefined
}

/** Whoever answered does not speak as a daemon does. */
function strangerError({ name }: DaemonAddress, { status, contentType }: Refusal): FlexiError {
  const kind = contentType === '' ? '' : `, ${contentType.replace(/;.*/, '')}`
  if (status === 421)
    return new FlexiError('FLEXI_DAEMON', `the daemon at ${name} goes by another name (421)`, {
      hint: 'Use the domain it was started with.',
    })
  return new FlexiError('FLEXI_DAEMON', `what answers at ${name} is no flexi daemon (${status}${kind})`, {
    hint: 'Look at the address; a flexi daemon of another version may lack what was asked.',
  })
}

/** Why nobody could be asked. `cause` is the system's or TLS' error. */
export function connectionError(address: DaemonAddress, cause: unknown): FlexiError {
  if (cause instanceof FlexiError) return cause
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
  const known = CONNECTION_FAULTS.find(([pattern]) => pattern.test(code))
  if (known === undefined)
    return new FlexiError('FLEXI_DAEMON', `the connection to ${address.name} broke off`, {
      cause,
      hint: 'Try again.',
    })
  const [, message, hint] = known
  return new FlexiError('FLEXI_DAEMON', message(address, code), { cause, hint })
}

/** By the system's codes and OpenSSL's. */
const CONNECTION_FAULTS: readonly (readonly [
  code: RegExp,
  message: (address: DaemonAddress, code: string) => string,
  hint: string,
])[] = [
  [
    /^(ECONNREFUSED|ENOENT)$/,
    ({ name }) => `no daemon listens at ${name}`,
    'Start one with "flexi daemon start", or look at the address.',
  ],
  [/^EACCES$/, ({ name }) => `${name} is not open to you`, 'Ask as the user that the daemon runs as.'],
  [/^(ENOTFOUND|EAI_AGAIN)$/, ({ host }) => `no machine is called ${host}`, 'Look at the address.'],
  [
    /^E(HOST|NET)UNREACH$/,
    ({ host }) => `there is no way to ${host}`,
    'Look at the address, and at the network.',
  ],
  [
    /ALTNAME/,
    ({ name }) => `the certificate of ${name} is for other names`,
    'Ask the daemon by a host name that its certificate has.',
  ],
  [
    /CERT|SELF_SIGNED|UNABLE_TO_VERIFY/,
    ({ name }, code) => `the certificate of ${name} is not trusted (${code})`,
    'Name the file of its authority in NODE_EXTRA_CA_CERTS.',
  ],
  [
    /^(EPROTO|ERR_SSL)/,
    ({ name }) => `${name} does not speak TLS`,
    'Write http:// if the daemon has no certificate.',
  ],
  [/^HPE_/, ({ name }) => `${name} does not speak HTTP`, 'Write https:// if it speaks TLS.'],
]

function hintOf(hint: string | undefined): { hint?: string } {
  return hint === undefined ? {} : { hint }
}
