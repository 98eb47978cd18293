import type { Logger } from '../core/log.ts'
import type { GatewayOptions } from '../gateway/gateway.ts'

/** How FlexiLib answers what nobody else does: its clients and monitors know no other form. */
export function flexilibAnswers(log: Logger): Pick<GatewayOptions, 'noRoute' | 'plainErrors' | 'paths'> {
  return {
    plainErrors: true,
    paths: 'raw',
    noRoute({ raw }) {
      log.warn('route.none', { message: `no line of proxy.ini takes ${raw.method} ${raw.target}` })
      return { status: 500, body: 'Internal Server Error\n' }
    },
  }
}
