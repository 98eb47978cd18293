import { isAbsolute } from 'node:path'

import { FlexiError } from '../../core/errors.ts'

/** Where a daemon is asked. */
export interface DaemonAddress {
  /** How it is written and remembered: `https://flexi.example.com`, `http://localhost:8080`, `unix:/run/flexi.sock`. */
  readonly name: string
  readonly secure: boolean
  readonly host: string
  readonly port: number
  /** The operator's socket, in place of host and port. */
  readonly socketPath?: string | undefined
}

/**
 * `example.com:8443` → `https://example.com:8443`; `localhost:8080` and loopback addresses → `http://…`; `unix:/run/flexi.sock` and an absolute
 * path → the operator's socket. A missing scheme is never tried both ways: a token must not travel in the open because TLS failed.
 * @throws FlexiError FLEXI_USAGE for what is none of these.
 */
export function parseDaemonAddress(text: string): DaemonAddress {
  const path = text.startsWith('unix:') ? text.slice('unix:'.length).replace(/^\/\/(?=\/)/, '') : text
  if (isAbsolute(path)) return socketAddress(path)
  if (text.startsWith('unix:')) throw noAddress(text, 'The path of a socket begins with "/".')
  const url = parseUrl(text)
  if (url === undefined) throw noAddress(text, 'Write it as https://HOST or http://HOST:PORT.')
  refuseMore(url, text)
  const secure = url.protocol === 'https:'
  const port = url.port === '' ? (secure ? 443 : 80) : Number(url.port)
  return { name: url.origin, secure, host: url.hostname.replace(/^\[|\]$/g, ''), port }
}

/** A daemon is a host, and nothing less. */
function refuseMore(url: URL, text: string): void {
  if (url.username !== '' || url.password !== '')
    throw noAddress(text, 'Leave the name and the password out: a daemon knows tokens.')
  if (!/^\/(api\/?)?$/.test(url.pathname) || url.search !== '' || url.hash !== '')
    throw noAddress(text, `Write ${url.origin}: a daemon has a host of its own.`)
}

/** Whether what is sent stays on this machine. */
export function isLocal({ host, socketPath }: DaemonAddress): boolean {
  return socketPath !== undefined || isLoopback(host)
}

function socketAddress(socketPath: string): DaemonAddress {
  return { name: `unix:${socketPath}`, secure: false, host: 'localhost', port: 0, socketPath }
}

function parseUrl(text: string): URL | undefined {
  const whole = /^[a-z][a-z\d+.-]*:\/\//i.test(text) ? text : `https://${text}`
  if (!URL.canParse(whole)) return undefined
  const url = new URL(whole)
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return undefined
  return whole === text || !isLoopback(url.hostname) ? url : new URL(`http://${text}`)
}

function isLoopback(host: string): boolean {
  const name = host.replace(/^\[|\]$/g, '')
  return /^(.*\.)?localhost$|^127(\.\d+){3}$|^::1$/.test(name)
}

/** What may be a password is not shown. */
function noAddress(text: string, hint: string): FlexiError {
  const shown = text.replace(/\/\/[^/]*@/, '//')
  return new FlexiError('FLEXI_USAGE', `${JSON.stringify(shown)} is no address of a daemon`, { hint })
}
