import { createHash } from 'node:crypto'
import { STATUS_CODES, type ServerResponse } from 'node:http'

import type { FlexiError } from '../core/errors.ts'
import type { FunctionFault } from '../core/function.ts'
import type { Fault } from '../core/place.ts'
import { codeFrame } from './code-frame.ts'

/** A finished page. */
export interface Page {
  readonly status: number
  readonly html: string
}

export interface PageOptions {
  readonly requestId: string
  /** Where relative paths of faults start. */
  readonly directory?: string | undefined
}

const KINDS = {
  throw: { status: 502, said: 'threw' },
  init: { status: 502, said: 'could not be loaded' },
  crash: { status: 502, said: 'crashed' },
  timeout: { status: 504, said: 'took too long' },
  memory: { status: 502, said: 'ran out of memory' },
  result: { status: 502, said: 'returned what its provider cannot send' },
  build: { status: 500, said: 'could not be built' },
} as const satisfies Record<FunctionFault['kind'], { status: number; said: string }>

/** What went wrong in user code: its own line first, then the stack. */
export function faultPage(fault: FunctionFault, options: PageOptions): Page {
  const { status, said } = KINDS[fault.kind]
  const body = [
    `<p class="about"><b>${escape(fault.function)}</b> ${said}</p>`,
    `<h1>${escape(fault.name)}</h1>`,
    `<p class="message">${escape(fault.message)}</p>`,
    hintBlock(fault.hint),
    fault.frame === undefined ? '' : faultBlock(fault.frame, options, false),
    fault.stack === undefined ? '' : `<pre class="stack">${escape(fault.stack)}</pre>`,
  ]
  return { status, html: layout(`${fault.name}: ${fault.message}`, body.join(''), options.requestId) }
}

/** A person can mend it: message, hint, and every fault with its place. */
export function errorPage(error: FlexiError, options: PageOptions): Page {
  // The message of a configuration error repeats its faults as text.
  const message = error.faults.length > 0 ? (error.message.split('\n')[0] ?? '') : error.message
  const body = [
    `<p class="about">${error.status} ${escape(STATUS_CODES[error.status] ?? '')}</p>`,
    `<h1>${escape(message)}</h1>`,
    hintBlock(error.hint),
    ...error.faults.map((fault) => faultBlock(fault, options, true)),
    `<p class="code">${error.code}</p>`,
  ]
  return { status: error.status, html: layout(message, body.join(''), options.requestId) }
}

/** Nothing answers this address: what does. */
export function noRoutePage(
  request: { method: string; target: string },
  routes: readonly { pattern: string; target: string }[],
  options: PageOptions,
): Page {
  const rows = routes.map(
    (route) => `<tr><td><code>${escape(route.pattern)}</code><td>${escape(route.target)}</tr>`,
  )
  const body = [
    '<p class="about">404 Not Found</p>',
    `<h1>No route takes <code>${escape(`${request.method} ${request.target}`)}</code></h1>`,
    routes.length === 0
      ? '<p class="message">This project has no routes.</p>'
      : `<table><thead><tr><th>Route<th>Goes to</tr></thead><tbody>${rows.join('')}</tbody></table>`,
  ]
  return { status: 404, html: layout('No route', body.join(''), options.requestId) }
}

function hintBlock(hint: string | undefined): string {
  return hint === undefined ? '' : `<p class="hint">${escape(hint)}</p>`
}

function faultBlock(fault: Fault, options: PageOptions, withMessage: boolean): string {
  const { file, line, column } = fault.place
  const lines = codeFrame(fault, options.directory).map(({ number, text, marked }) => {
    const shown = `<i>${String(number).padStart(5)}</i> ${escape(text)}`
    return marked ? `<mark>${shown}</mark>` : `<span>${shown}</span>`
  })
  return [
    '<section>',
    `<p class="place">${escape(`${file}:${line}:${column}`)}</p>`,
    withMessage ? `<p class="message">${escape(fault.message)}</p>` : '',
    lines.length === 0 ? '' : `<pre class="frame">${lines.join('')}</pre>`,
    hintBlock(fault.hint),
    '</section>',
  ].join('')
}

const STYLE = `:root{color-scheme:light dark;--ink:#1d2330;--dim:#667085;--page:#fff;--panel:#f4f5f7;--line:#ffe3e0;--red:#b42318;--hint:#175cd3}
@media (prefers-color-scheme:dark){:root{--ink:#e6e8ec;--dim:#98a2b3;--page:#14171d;--panel:#1d222b;--line:#55211d;--red:#ff8a7a;--hint:#84b6ff}}
body{margin:0 auto;max-width:62rem;padding:2.5rem 1.5rem;background:var(--page);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
h1{margin:.2rem 0 .6rem;font-size:1.5rem;color:var(--red);overflow-wrap:anywhere}h1 code{font-size:.9em}
p{margin:.4rem 0}.about,.code,.place,footer,i,th{color:var(--dim)}.message{white-space:pre-wrap;overflow-wrap:anywhere}
.hint{color:var(--hint)}.hint:before{content:"\\2192\\00a0"}.place{font:13px/1.6 ui-monospace,monospace}
section{margin:1.4rem 0}pre{margin:0;padding:.8rem 0;background:var(--panel);border-radius:6px;overflow-x:auto;font:13px/1.6 ui-monospace,monospace;tab-size:4}
.stack{margin-top:1.4rem;padding:.8rem 1rem;white-space:pre-wrap;overflow-wrap:anywhere}
.frame span,.frame mark{display:block;min-width:max-content;padding:0 1rem;color:inherit;background:none}.frame mark{background:var(--line)}i{font-style:normal;user-select:none}
table{border-collapse:collapse;width:100%;margin-top:1rem}td,th{text-align:left;padding:.35rem .8rem .35rem 0;border-bottom:1px solid var(--panel)}
footer{margin-top:2.5rem;font-size:.85rem}`

const POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`,
  "base-uri 'none'",
  "form-action 'none'",
].join('; ')

function layout(title: string, body: string, requestId: string): string {
  return [
    '<!doctype html><html lang="en"><head><meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    `<title>${escape(title.slice(0, 120))}</title><style>${STYLE}</style></head><body><main>`,
    body,
    `</main><footer>flexi · request ${escape(requestId)}</footer></body></html>\n`,
  ].join('')
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}
// Compilers colour their messages for terminals.
const ANSI = new RegExp(`${String.fromCharCode(27)}\\[[0-9;]*m`, 'g')

function escape(text: string): string {
  return text.replace(ANSI, '').replace(/[&<>"']/g, (sign) => ENTITIES[sign] ?? sign)
}

/** Never cached: the next request may find it mended. */
export function sendPage(outgoing: ServerResponse, page: Page): void {
  outgoing.writeHead(page.status, {
    'Content-Type': 'text/html; charset=utf-8',
    'Content-Length': Buffer.byteLength(page.html),
    'Content-Security-Policy': POLICY,
    'X-Content-Type-Options': 'nosniff',
    'Cache-Control': 'no-store',
  })
  outgoing.end(page.html)
}
