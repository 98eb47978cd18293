import type { z as Zod } from 'zod'

import type { DeploySettings } from '../core/function.ts'

export type DeployDocument = Zod.infer<ReturnType<typeof deploySchema>>

/** How a function runs once it is deployed: the `deploy` of a function in flexi.jsonc. */
export function deploySchema(z: typeof Zod) {
  const whole = (least: number, meaning: string) => {
    const fault = `must be a whole number of ${meaning}, ${least} or more`
    return z.int(fault).min(least, fault).optional()
  }
  return z
    .strictObject(
      {
        network: z
          .enum(['egress', 'none', 'host'], 'must be "egress", "none" or "host"')
          .optional()
          .describe(
            'What it reaches: "egress" the outside, but not the machine it runs on (default), "none" nothing, "host" the network of the machine.',
          ),
        min: whole(0, 'instances').describe('Instances that run without being asked. Default 0.'),
        max: whole(1, 'instances').describe('Instances at once.'),
        idle: z
          .number('must be a number of seconds, 0 or more')
          .min(0, 'must be a number of seconds, 0 or more')
          .optional()
          .describe('Seconds without a request after which instances above "min" are ended.'),
        health: z
          .string('must be a path such as "/health"')
          .regex(/^\/[\x21-\x7e]*$/, 'must be a path such as "/health"')
          .optional()
          .describe('A path that has to answer, with a status below 500, before requests are sent there.'),
        processors: z
          .number('must be a number above 0')
          .positive('must be a number above 0')
          .optional()
          .describe('Processors that an instance may use: 0.5 is half of one.'),
        processes: whole(1, 'processes').describe('Processes and threads of an instance.'),
        files: whole(16, 'files').describe('Open files of a process.'),
        temporary: whole(1, 'MiB').describe('MiB of /tmp and of /dev/shm, which are in memory.'),
      },
      'must be an object',
    )
    .describe('How it runs on a daemon: for "flexi deploy".')
}

export function deploySettings(document: DeployDocument | undefined): DeploySettings | undefined {
  if (document === undefined) return undefined
  const { idle, temporary, ...rest } = document
  return { ...rest, idleMs: idle === undefined ? undefined : idle * 1000, temporaryMb: temporary }
}
