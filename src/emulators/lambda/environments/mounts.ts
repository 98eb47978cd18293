import { RESPONSE_BYTES_MAX } from '../limits.ts'
import type { ApiConnection, BodySink } from './api-connection.ts'
import { collector } from './body-sinks.ts'
import type { MountedCall, MountedHandler } from './mounted.ts'
import type { RequestHead } from './request-reader.ts'

/** Other APIs of an environment, that are served on the same host and port. */
export class Mounts {
  #all: readonly { readonly prefix: string; readonly handler: MountedHandler }[] = []

  add(prefix: string, handler: MountedHandler): void {
    this.#all = [...this.#all, { prefix, handler }]
  }

  /** What takes the body of a request to one of them. */
  sinkOf(head: RequestHead, path: string, connection: ApiConnection): BodySink | undefined {
    for (const { prefix, handler } of this.#all) {
      if (path.startsWith(prefix)) return this.#collect(head, handler, connection)
    }
    return undefined
  }

  #collect(head: RequestHead, handler: MountedHandler, connection: ApiConnection): BodySink {
    const { request } = connection
    return collector(RESPONSE_BYTES_MAX, (body) => {
      if (body === 'truncated') return
      if (body === 'too large') {
        connection.answer(413, '', '')
        return
      }
      const call: MountedCall = { method: head.method, path: head.target, fields: head.fields, body }
      connection.onLeft = () => call.onClosed?.()
      handler(call, (status, fields, answer) => {
        if (connection.waits(request)) connection.answer(status, fieldLines(fields), answer)
      })
    })
  }
}

function fieldLines(fields: Readonly<Record<string, string>>): string {
  return Object.entries(fields)
    .map(([name, value]) => `${name}: ${value.replaceAll(/[\r\n]+/g, ' ')}\r\n`)
    .join('')
}
