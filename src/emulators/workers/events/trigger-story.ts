import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import type { FunctionScope, OutputLine } from '../../../core/function.ts'
import { addressesIn, emailField } from './trigger-request.ts'
import type { EmailEvent, Reply, TriggerEvent, TriggerResult } from './trigger.ts'

/** Tells the author what an event did that nothing else shows: what became of an email. */
export async function tellOutcome(
  scope: Pick<FunctionScope, 'output' | 'stateDirectory'>,
  event: TriggerEvent,
  result: TriggerResult,
): Promise<void> {
  if (event.kind !== 'email') return
  const say = (level: OutputLine['level'], text: string): void =>
    scope.output({ stream: 'platform', level, text })
  for (const text of envelopeWarnings(event)) say('warn', text)
  for (const { to, fields } of result.forwarded ?? []) {
    const added = fields.map(([name, value]) => `\n  ${name}: ${value}`).join('')
    say('info', `email: forwarded to ${to}${added}`)
  }
  for (const reply of result.replies ?? [])
    say('info', `email: replied to ${reply.to}: ${await keepReply(scope.stateDirectory, reply)}`)
  if (result.rejected !== undefined) say('warn', `email: rejected: ${result.rejected}`)
}

/** Envelope and fields may differ; a test that mixes them up is the usual reason. */
function envelopeWarnings({ from, to, raw }: EmailEvent): readonly string[] {
  const [sender] = addressesIn(emailField(raw, 'from'))
  const receivers = addressesIn(emailField(raw, 'to'))
  return [
    ...(sender === from
      ? []
      : [`email: the envelope is from ${from}, the message's From field says ${sender}`]),
    ...(receivers.includes(to)
      ? []
      : [
          `email: the envelope is to ${to}, the message's To field says ${receivers.join(', ') || 'nothing'}`,
        ]),
  ]
}

/** A reply goes nowhere here: it is a file to look at. */
async function keepReply(stateDirectory: string, { raw }: Reply): Promise<string> {
  const folder = join(stateDirectory, 'workers', 'emails')
  const stamp = new Date().toISOString().replaceAll(':', '-')
  const file = join(folder, `${stamp}-${Math.random().toString(36).slice(2, 8)}.eml`)
  await mkdir(folder, { recursive: true })
  await writeFile(file, Buffer.from(raw, 'base64'))
  return file
}
