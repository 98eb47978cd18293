import type { FunctionFault } from '../../../core/function.ts'
import { noteOwner, type Note } from '../bindings/notes.ts'
import { readMark } from '../console-module.ts'
import type { ThrownRecord } from '../facade.ts'
import type { RuntimeLine } from '../runtime-log.ts'
import { createStackReader, type StackReader } from '../stack.ts'
import { ThrownDesk } from '../thrown-desk.ts'
import type { ComposedPart } from './composition.ts'

export interface GroupOutput {
  line(line: RuntimeLine): void
  note(note: Note): void
  /** workerd's last words about its own end. */
  lastWords(): string | undefined
  /** An answer told what the worker threw: reports it, unless that was done, and resolves with what its page shows. */
  thrown(record: ThrownRecord, part: ComposedPart, requestId: string): Promise<FunctionFault>
  /** No answer comes any more. */
  close(): void
}

type ProgramLine = Extract<RuntimeLine, { kind: 'program' }>

interface Room {
  readonly parts: readonly ComposedPart[]
  readonly stacks: StackReader
  readonly desk: ThrownDesk
}

/** What programs print goes on with its frames mapped; what the facade tells becomes a report; workerd's own words are kept. */
export function createGroupOutput(parts: readonly ComposedPart[]): GroupOutput {
  const [first] = parts
  const stacks = createStackReader(parts.map(({ script }) => script))
  const report = (fault: FunctionFault): void => {
    const owner = parts.find(({ member }) => member.config.name === fault.function) ?? first
    owner?.member.scope.report(fault)
  }
  const desk = new ThrownDesk({ stacks, report })
  const room: Room = { parts, stacks, desk }
  let lastWords: string | undefined
  return {
    line(line) {
      if (line.kind === 'program') {
        print(line, room)
        return
      }
      if (line.kind === 'pid') return
      if (line.kind === 'runtime' && line.level === 'fatal') lastWords = line.text
      if (line.kind === 'runtime' && line.text.startsWith(UNCAUGHT))
        desk.uncaught(line.text, first?.member.config.name ?? '')
      first?.member.scope.log.debug('workerd.line', { text: stacks.map(line.text) })
    },
    note(note) {
      const { level, text } = note
      const owner = noteOwner(note, parts, ({ bindings }) => bindings?.options)
      if (owner === undefined || (level === 'warn' && isRepeated(owner.member.scope.app, text))) return
      owner.member.scope.output({ stream: 'platform', level, text })
    },
    lastWords: () => lastWords,
    thrown: (record, { member }, requestId) =>
      desk.answered({ record, teller: member.config.name, requestId }),
    close: () => desk.close(),
  }
}

/** How long after a warning the same warning is none. */
const REPEAT_MS = 5_000
/** When each was given last, by application. */
const warned = new WeakMap<object, Map<string, number>>()

/** A folder of assets is read for the runtime that ends, for the one that begins, and once more when it is seen to have changed. */
function isRepeated(app: object, text: string): boolean {
  const now = performance.now()
  const fresh = [...(warned.get(app) ?? [])].filter(([, at]) => now - at < REPEAT_MS)
  const known = new Map(fresh)
  const isKnown = known.has(text)
  warned.set(app, known.set(text, now))
  return isKnown
}

/** What workerd says of an exception that reached a socket. */
const UNCAUGHT = 'Uncaught exception: '

function print(line: ProgramLine, { parts, stacks, desk }: Room): void {
  const mark = readMark(line.text, parts[0]?.names.console.token ?? '')
  // A line that no module of ours has marked is a service worker's: the first worker is as good as any.
  const part = parts[mark?.index ?? 0]
  if (part === undefined) return
  const { text = line.text } = mark ?? {}
  const { logMark } = part.names
  const { config, scope } = part.member
  if (text.startsWith(logMark)) {
    desk.told({ record: readRecord(text.slice(logMark.length)), teller: config.name })
    return
  }
  scope.output({ stream: STREAMS[line.level], level: line.level, text: stacks.map(text) })
}

/** A line that is too long comes cut. */
function readRecord(text: string): ThrownRecord {
  try {
    return JSON.parse(text) as ThrownRecord
  } catch {
    return { name: 'Error', message: `an error too long to be told: ${text.slice(0, TOLD_MAX)}…` }
  }
}

const TOLD_MAX = 1_000

const STREAMS = { debug: 'stdout', info: 'stdout', warn: 'stderr', error: 'stderr' } as const
