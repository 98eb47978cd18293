import { text } from 'node:stream/consumers'

import { askState, tellState, type StateResource } from './ask.ts'

/** As `Queue.send` has it. */
export type MessageType = 'json' | 'text' | 'bytes'

export interface SendOptions {
  /** Default `json`. */
  readonly contentType?: MessageType | undefined
  readonly delaySeconds?: number | undefined
}

/** Puts a message into a queue. @throws StateRefusal for what the queue refuses. */
export async function sendMessage(
  resource: StateResource,
  body: Uint8Array,
  { contentType, delaySeconds }: SendOptions = {},
): Promise<void> {
  const query = { content_type: contentType, delay: delaySeconds }
  await tellState(resource, { method: 'POST', operation: 'messages', query, body })
}

/** A secret of the Secrets Store. */
export interface StoredSecret {
  get(): Promise<string | undefined>
  set(value: string): Promise<void>
  /** False when there was none. */
  delete(): Promise<boolean>
}

export function storedSecret(resource: StateResource): StoredSecret {
  return {
    async get() {
      const answer = await askState(resource, { method: 'GET', operation: 'value' })
      return answer === undefined ? undefined : await text(answer.body)
    },
    set: async (value) =>
      void (await tellState(resource, { method: 'PUT', operation: 'value', body: Buffer.from(value) })),
    delete: () => tellState(resource, { method: 'DELETE', operation: 'value' }),
  }
}
