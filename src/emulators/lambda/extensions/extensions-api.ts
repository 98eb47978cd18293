import { randomUUID } from 'node:crypto'

import { isRecord, jsonAnswer, parseJson, refusal, type ApiAnswer, type ApiRequest } from './api-request.ts'

export type LifecycleEvent = 'INVOKE' | 'SHUTDOWN'

type State = 'Started' | 'Registered' | 'Ready' | 'Running' | 'InitError' | 'ExitError'

/** One that was started from `extensions/`, or that registered from inside the function. */
export interface Extension {
  readonly name: string
  readonly kind: 'external' | 'internal'
  readonly id: string
  state: State
  events: readonly LifecycleEvent[]
  /** It waits for an event. */
  poll: ((answer: ApiAnswer) => void) | undefined
  /** An event that waits for it. */
  waiting: ApiAnswer | undefined
}

export interface ExtensionsApiOptions {
  readonly functionName: string
  readonly functionVersion: string
  readonly handler: string
  readonly accountId: string
  /** Names of the programs that are started. */
  readonly external: readonly string[]
  /** Somebody has registered, or waits for its next event. */
  changed(): void
  /** An extension says that it cannot go on. */
  failed(extension: Extension, errorType: string): void
}

const PREFIX = '/2020-01-01/extension/'
const EXTENSIONS_MAX = 10
const EVENTS: readonly string[] = ['INVOKE', 'SHUTDOWN']
const UUID = /^[\da-f]{8}-(?:[\da-f]{4}-){3}[\da-f]{12}$/i

/** The Extensions API of one environment: who is there, and who waits for what. Source: Lambda guide, Extensions API. */
export class ExtensionsApi {
  readonly #options: ExtensionsApiOptions
  readonly #extensions = new Map<string, Extension>()
  #isClosed = false

  constructor(options: ExtensionsApiOptions) {
    this.#options = options
    for (const name of options.external) this.#add(name, 'external')
  }

  get extensions(): readonly Extension[] {
    return [...this.#extensions.values()]
  }

  get haveAllRegistered(): boolean {
    return this.extensions.every(({ state }) => state !== 'Started')
  }

  /** Whether all of them have done with the last event, or with their start. */
  get areAllReady(): boolean {
    return this.extensions.every(({ state, events }) => state === 'Ready' || events.length === 0)
  }

  /** What the start still waits for. */
  get pending(): readonly string[] {
    return this.extensions.flatMap(({ name, state, events }) => {
      if (state === 'Started') return [`the extension ${name} has not registered`]
      const isAwaited = state === 'Registered' && events.length > 0
      return isAwaited ? [`the extension ${name} has not asked for its first event`] : []
    })
  }

  /** From now on nobody new may come. */
  closeRegistration(): void {
    this.#isClosed = true
  }

  /** @returns undefined when the path is none of this API. */
  handle(request: ApiRequest): Promise<ApiAnswer> | undefined {
    if (!request.path.startsWith(PREFIX)) return undefined
    const call = `${request.method} ${request.path.slice(PREFIX.length)}`
    if (call === 'POST register') return Promise.resolve(this.#register(request))
    if (call === 'GET event/next')
      return this.#withExtension(request, (extension) => this.#next(request, extension))
    const [, phase] = /^POST (init|exit)\/error$/.exec(call) ?? []
    if (phase === undefined) return undefined
    return this.#withExtension(request, (extension) =>
      Promise.resolve(this.#error(request, extension, phase === 'init' ? 'InitError' : 'ExitError')),
    )
  }

  /** @returns what the identifier of a call is, or its refusal. */
  find(request: ApiRequest): Extension | ApiAnswer {
    const id = request.fields.get('lambda-extension-identifier')
    if (id === undefined || id === '')
      return refusal('Extension.MissingExtensionIdentifier', 'Missing Lambda-Extension-Identifier header')
    if (!UUID.test(id))
      return refusal('Extension.InvalidExtensionIdentifier', 'Invalid Lambda-Extension-Identifier')
    const found = this.extensions.find((extension) => extension.id === id && extension.state !== 'Started')
    return found ?? refusal('Extension.UnknownExtensionIdentifier', `Unknown extension ${id}`)
  }

  /** Hands an event to everyone who asked for its type and can take one. @returns who got it. */
  send(type: LifecycleEvent, event: object): readonly Extension[] {
    const subscribed = this.extensions.filter(
      ({ events, state }) => events.includes(type) && (state === 'Ready' || state === 'Running'),
    )
    const body = { eventType: type, ...event }
    for (const extension of subscribed) {
      const answer = jsonAnswer(200, body, { 'Lambda-Extension-Event-Identifier': randomUUID() })
      if (extension.poll === undefined) extension.waiting = answer
      else this.#handOut(extension, answer)
    }
    return subscribed
  }

  #add(name: string, kind: Extension['kind']): Extension {
    const extension: Extension = {
      name,
      kind,
      id: randomUUID(),
      state: 'Started',
      events: [],
      poll: undefined,
      waiting: undefined,
    }
    this.#extensions.set(name, extension)
    return extension
  }

  #register(request: ApiRequest): ApiAnswer {
    const name = request.fields.get('lambda-extension-name') ?? ''
    if (name === '') return refusal('Extension.InvalidExtensionName', 'Empty extension name')
    const events = eventsIn(request.body)
    if (events === undefined) return refusal('InvalidRequestFormat', 'Invalid request format')
    const known = this.#extensions.get(name)
    const refused = known?.kind === 'external' ? refuseAgain(known) : this.#refuseInternal(name, events)
    if (refused !== undefined) return refused
    const unknown = events.find((event) => !EVENTS.includes(event))
    if (unknown !== undefined) return refusal('Extension.InvalidEventType', `${unknown}: invalid event type`)
    const extension = known ?? this.#add(name, 'internal')
    extension.events = EVENTS.filter((event): event is LifecycleEvent => events.includes(event))
    extension.state = 'Registered'
    this.#options.changed()
    return this.#welcome(request, extension)
  }

  #refuseInternal(name: string, events: readonly string[]): ApiAnswer | undefined {
    if (this.#isClosed)
      return refusal('Extension.RegistrationClosed', 'Extension registration closed already')
    if (this.#extensions.has(name))
      return refusal('Extension.InvalidExtensionName', `Extension ${name} is registered already`)
    if (this.#extensions.size >= EXTENSIONS_MAX)
      return refusal('Extension.TooManyExtensions', `Extension limit (${EXTENSIONS_MAX}) reached`)
    return events.includes('SHUTDOWN')
      ? refusal('Extension.InvalidEventType', 'SHUTDOWN: event not supported for internal extensions')
      : undefined
  }

  #welcome(request: ApiRequest, { id }: Extension): ApiAnswer {
    const { functionName, functionVersion, handler, accountId } = this.#options
    const features = (request.fields.get('lambda-extension-accept-feature') ?? '').split(',')
    const asksAccount = features.some((feature) => feature.trim() === 'accountId')
    return jsonAnswer(
      200,
      { functionName, functionVersion, handler, ...(asksAccount ? { accountId } : {}) },
      { 'Lambda-Extension-Identifier': id },
    )
  }

  #withExtension(
    request: ApiRequest,
    answer: (extension: Extension) => Promise<ApiAnswer>,
  ): Promise<ApiAnswer> {
    const found = this.find(request)
    return 'status' in found ? Promise.resolve(found) : answer(found)
  }

  #next(request: ApiRequest, extension: Extension): Promise<ApiAnswer> {
    if (extension.state === 'InitError' || extension.state === 'ExitError')
      return Promise.resolve(invalidState(extension, 'Ready'))
    extension.state = 'Ready'
    const { waiting } = extension
    extension.waiting = undefined
    const next = new Promise<ApiAnswer>((resolve) => {
      // Whoever asks again has given up the call before.
      extension.poll = resolve
      request.whenClosed?.(() => {
        if (extension.poll === resolve) extension.poll = undefined
      })
    })
    if (waiting !== undefined) this.#handOut(extension, waiting)
    else this.#options.changed()
    return next
  }

  #handOut(extension: Extension, answer: ApiAnswer): void {
    const { poll } = extension
    extension.poll = undefined
    extension.state = 'Running'
    poll?.(answer)
  }

  #error(request: ApiRequest, extension: Extension, state: 'InitError' | 'ExitError'): ApiAnswer {
    const errorType = request.fields.get('lambda-extension-function-error-type')
    if (errorType === undefined || errorType === '')
      return refusal('Extension.MissingHeader', 'Lambda-Extension-Function-Error-Type not found')
    const isAllowed = state === 'InitError' ? extension.state === 'Registered' : !isOver(extension)
    if (!isAllowed) return invalidState(extension, state)
    extension.state = state
    this.#options.failed(extension, errorType)
    return jsonAnswer(202, { status: 'OK' })
  }
}

/** Undefined when the body is none. */
function eventsIn(body: Buffer): readonly string[] | undefined {
  const json = parseJson(body)
  if (!isRecord(json) || json['configurationKeys'] !== undefined) return undefined
  const events = json['events'] ?? []
  return Array.isArray(events) ? events.map((event) => String(event)) : undefined
}

function refuseAgain(extension: Extension): ApiAnswer | undefined {
  return extension.state === 'Started' ? undefined : invalidState(extension, 'Registered')
}

function isOver({ state }: Extension): boolean {
  return state === 'InitError' || state === 'ExitError'
}

function invalidState({ name, state }: Extension, next: State): ApiAnswer {
  return refusal(
    'Extension.InvalidExtensionState',
    `State transition from ${state} to ${next} failed for extension ${name}. Error: State transition is not allowed`,
  )
}
