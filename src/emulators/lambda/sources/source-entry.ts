import { createHash } from 'node:crypto'

import type { ApiFunction } from '../../../core/function.ts'
import type { EventSource } from '../service/event-source.ts'
import { awsNameOf, settingsOf } from '../service/function-settings.ts'

/** An event source mapping of the API. */
export interface SourceMapping {
  readonly uuid: string
  /** Any reference that the invoker takes. */
  readonly function: string
  readonly source: EventSource
}

/** One source of one function, wherever it was written. */
export interface SourceEntry extends SourceMapping {
  /** By the project's files. */
  readonly declared: boolean
  /** Of the project, for messages. */
  readonly functionName: string
  readonly timeoutMs?: number | undefined
  /** Equal for entries that are the same in everything: such a one goes on. */
  readonly key: string
  /** Equal for entries that read the same for the same function: one of them at a time. */
  readonly subject: string
}

/** What the project's files say. The served copy of a published version has no sources of its own. */
export function declaredEntries(functions: readonly ApiFunction[]): readonly SourceEntry[] {
  return functions.flatMap(({ config }) => {
    const { sources = [], version } = settingsOf(config)
    if (version !== undefined || config.name.includes(':')) return []
    const counts = new Map<string, number>()
    return sources.map((source) => {
      const reference = awsNameOf(config)
      const what = `${reference} ${subjectOf(source)}`
      const count = counts.get(what) ?? 0
      counts.set(what, count + 1)
      const uuid = stableUuid(`${what} ${count}`)
      const entry = { uuid, function: reference, source, timeoutMs: config.timeoutMs }
      return { ...entry, declared: true, functionName: config.name, subject: uuid, key: keyOf(entry) }
    })
  })
}

export function mappedEntry(mapping: SourceMapping): SourceEntry {
  const functionName = mapping.function.split(':function:').at(-1) ?? mapping.function
  return { ...mapping, declared: false, functionName, subject: mapping.uuid, key: keyOf(mapping) }
}

function keyOf(entry: SourceMapping & { readonly timeoutMs?: number | undefined }): string {
  const { uuid, function: reference, source, timeoutMs } = entry
  return JSON.stringify([uuid, reference, source, timeoutMs])
}

/** `sqs orders`: what a source is, in messages too. */
export function subjectOf(source: EventSource): string {
  switch (source.type) {
    case 'sqs':
      return `${source.type} ${lastPart(source.queue)}`
    case 'kinesis':
    case 'dynamodb':
      return `${source.type} ${streamName(source.stream)}`
    case 'schedule':
      return `${source.type} ${source.expression}`
    case 'events':
      return `${source.type} ${lastPart(source.bus ?? 'default')}`
    case 'sns':
      return `${source.type} ${lastPart(source.topic)}`
    case 's3':
      return `${source.type} ${source.bucket}`
  }
}

/** The stream's, or the table's whose stream it is. */
function streamName(stream: string): string {
  return stream.startsWith('arn:') ? (stream.split('/')[1] ?? stream) : stream
}

function lastPart(arn: string): string {
  return arn.split(/[:/]/).at(-1) ?? arn
}

/** The same for the same text, over restarts too. */
function stableUuid(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex')
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `5${hex.slice(13, 16)}`,
    `a${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ].join('-')
}
