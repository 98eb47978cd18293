import type { SendMessage } from '../service/queue.ts'

/** Hands something to whatever has this ARN: a function, queue, topic or bus. @throws when it is not there or refuses. */
export type Deliver = (arn: string, message: SendMessage) => Promise<void>
