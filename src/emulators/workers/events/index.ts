import type { JsonObject, Sample } from '../../../core/event-sample.ts'

/** Events of a worker's handlers, as `flexi invoke` takes them. */
export const workersSamples: readonly Sample[] = [
  {
    source: 'workers:cron',
    description: 'A cron trigger of a Worker is due (scheduled)',
    short: { time: { path: 'scheduledTime' } },
    make: (now) => ({ cron: '* * * * *', scheduledTime: minuteOf(now) }),
  },
  {
    source: 'workers:queue',
    description: 'A batch of one message for a queue consumer (queue)',
    short: {
      body: { path: 'messages.0.body' },
      id: { path: 'messages.0.id' },
      attempts: { path: 'messages.0.attempts' },
    },
    make: (now) => ({
      queue: 'my-queue',
      messages: [
        {
          id: '9b1d6a0e4c8f4f6fb2a57c3e1d0a8b42',
          timestamp: now.toISOString(),
          attempts: 1,
          body: { hello: 'world' },
        },
      ],
    }),
  },
  {
    source: 'workers:email',
    description: 'A message that Email Routing hands to a Worker (email)',
    make: email,
  },
]

function email(now: Date): JsonObject {
  return {
    from: 'ada@example.com',
    to: 'hello@example.org',
    subject: 'Hello',
    text: 'Hello from flexi.',
    messageId: `<${now.getTime()}@example.com>`,
    headers: { Date: now.toUTCString(), 'Content-Type': 'text/plain; charset=utf-8' },
  }
}

function minuteOf(now: Date): string {
  return new Date(now.getTime() - (now.getTime() % 60_000)).toISOString()
}
