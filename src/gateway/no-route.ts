import type { ServerResponse } from 'node:http'

import { FlexiError } from '../core/errors.ts'
import type { RequestContext, SocketFetcher } from '../core/fetcher.ts'
import type { FixedAnswer } from '../core/function.ts'
import { describeTarget } from '../core/route.ts'
import { REQUEST_ID, toldRequestId } from '../forward/request-id.ts'
import { wantsPage } from './browser.ts'
import { noRoutePage, sendPage } from './error-page.ts'
import type { RouteTable } from './route-table.ts'

export type NoRouteAnswer = FixedAnswer

export interface NoRouteOptions {
  readonly mode: 'dev' | 'serve'
  readonly directory?: string | undefined
  readonly noRoute?: ((context: RequestContext) => FixedAnswer) | undefined
}

/**
 * Answers what no route takes: as the options say, with the list of routes to a browser in `dev`, as the provider of all routes does,
 * else with 404.
 * `OPTIONS *` asks the server itself whether it is there (RFC 9110 section 9.3.7), and gets a plain yes.
 */
export function noRouteFetcher(options: NoRouteOptions, table: () => RouteTable): SocketFetcher {
  return {
    async handle(incoming, outgoing, context) {
      const { method, target } = context.raw
      if (options.noRoute !== undefined) {
        send(outgoing, options.noRoute(context))
        return
      }
      if (target === '*') {
        send(outgoing, { status: 200, body: '' })
        return
      }
      if (options.mode === 'dev' && wantsPage(incoming)) {
        const routes = table().routes.map(({ rule }) => ({
          pattern: rule.pattern,
          target: describeTarget(rule.target, (path) => path),
        }))
        outgoing.setHeader(REQUEST_ID, toldRequestId(incoming.headers, context.id))
        sendPage(outgoing, noRoutePage({ method, target }, routes, { requestId: context.id }))
        return
      }
      const answer = table().noRoute
      if (answer !== undefined) {
        send(outgoing, answer)
        return
      }
      throw new FlexiError('FLEXI_NO_ROUTE', `no route takes ${method} ${target}`, {
        hint: 'Run "flexi check" to see the routes of the project.',
      })
    },
  }
}

function send(outgoing: ServerResponse, answer: FixedAnswer): void {
  const type = answer.contentType === undefined ? [] : ['Content-Type', answer.contentType]
  const length = ['Content-Length', String(Buffer.byteLength(answer.body))]
  outgoing.writeHead(answer.status, [...type, ...(answer.fields ?? []), ...length])
  outgoing.end(answer.body)
}
