import type { WebSocket } from 'ws'

import { Breakpoints } from './breakpoints.ts'
import {
  asArray,
  asText,
  methodOf,
  parseCommand,
  parseEvent,
  replyId,
  topScript,
  type Command,
  type DebuggerEvent,
  type Params,
  type Reply,
} from './protocol.ts'
import { Calls } from './calls.ts'
import { consoleEvent } from './console-event.ts'
import { isOurScript, OUR_SCRIPTS, type Scripts } from './scripts.ts'
import { SettingsMemory } from './settings-memory.ts'

/** A worker in a runtime that can be debugged. */
export interface DebuggedWorker {
  /** `ws://127.0.0.1:PORT/ID` */
  readonly url: string
  readonly scripts: Scripts | undefined
  /** Of the marks on its lines. */
  readonly token: string
}

export interface SessionOptions {
  readonly client: WebSocket
  /** Stops at the first line of the program that runs next. */
  readonly breakAtStart: boolean
  connect(url: string): WebSocket
  /** It is there, has said what it wants, and was told what is there. */
  onReady(): void
}

/**
 * One debugger, for as long as it stays; the runtime behind it may be another one after each reload. What it switched on and where it set
 * breakpoints is said to the new one, and it is told that the program began anew, as a browser's page would.
 */
export class Session {
  readonly #options: SessionOptions
  readonly #settings = new SettingsMemory()
  readonly #breakpoints = new Breakpoints()
  readonly #calls = new Calls()
  /** What the client said while there was no runtime. */
  #early: string[] = []
  #worker: DebuggedWorker | undefined
  #runtime: WebSocket | undefined
  #arrived: Promise<void> = Promise.resolve()
  #isOpen = false
  /** Patterns of scripts that the client steps over. */
  #hidden: readonly unknown[] = []
  #isPaused = false
  /** Is on its way from the facade to the program's first line. */
  #stops: boolean
  /** Scripts of flexi's own. */
  readonly #ours = new Set<string>()

  constructor(options: SessionOptions) {
    this.#options = options
    this.#stops = options.breakAtStart
    options.client.on('message', (data: Buffer) => this.#fromClient(data.toString()))
  }

  /** Whether its debugger is still there. */
  get isAlive(): boolean {
    return this.#options.client.readyState === OPEN
  }

  /** Resolves when all breakpoints are in what is debugged now. */
  get arrived(): Promise<void> {
    return this.#arrived
  }

  /** From now on this is what is debugged. Resolves when what was debugged before knows no debugger any more. */
  lead(worker: DebuggedWorker | undefined): Promise<void> {
    const left = this.#worker === undefined ? Promise.resolve() : this.#leave()
    this.#worker = worker
    if (worker === undefined) return left
    const runtime = this.#options.connect(worker.url)
    this.#runtime = runtime
    runtime.on('message', (data: Buffer) => {
      if (runtime === this.#runtime) this.#fromRuntime(data.toString())
    })
    this.#arrived = new Promise((resolve) => {
      runtime.once('open', () => {
        if (runtime === this.#runtime) void this.#arrive(worker).then(resolve)
      })
      runtime.once('close', resolve)
    })
    // Its end is told by whoever runs it.
    runtime.on('error', () => undefined)
    return left
  }

  close(): void {
    void this.#letGo()
    this.#options.client.close(1001)
  }

  /** What stands at a breakpoint goes on, and meets no other. */
  async #letGo(): Promise<void> {
    const runtime = this.#runtime
    this.#runtime = undefined
    if (runtime?.readyState !== OPEN) {
      runtime?.terminate()
      return
    }
    for (const [method, params] of [
      ['Debugger.setSkipAllPauses', { skip: true }],
      ['Debugger.resume'],
    ] as const)
      runtime.send(JSON.stringify({ id: this.#calls.nextId(), method, params }))
    const closed = new Promise<void>((resolve) => void runtime.once('close', () => resolve()))
    runtime.close()
    const timer = setTimeout(() => runtime.terminate(), CLOSE_MS)
    await closed
    clearTimeout(timer)
  }

  #leave(): Promise<void> {
    const left = this.#letGo()
    this.#isOpen = false
    this.#ours.clear()
    if (this.#isPaused) this.#tell('Debugger.resumed', {})
    this.#isPaused = false
    this.#calls.abandon((id) =>
      this.#reply({ id, error: { code: -32_000, message: 'The worker was loaded anew.' } }),
    )
    if (this.#settings.isDebugging) this.#tell('Runtime.executionContextsCleared', {})
    return left
  }

  async #arrive(worker: DebuggedWorker): Promise<void> {
    const commands = this.#settings.commands().map(({ method, params }) => this.#ask(method, params))
    const breakpoints = this.#breakpoints.move(worker.scripts).map(async (breakpoint) => {
      const result = (await this.#ask('Debugger.setBreakpointByUrl', breakpoint.params))?.result
      if (result === undefined) return
      breakpoint.moved(result)
      for (const location of asArray(result['locations']))
        for (const breakpointId of this.#breakpoints.namesOf(asText(result['breakpointId'])))
          this.#tell('Debugger.breakpointResolved', { breakpointId, location })
    })
    await Promise.all([...commands, ...breakpoints])
    if (worker !== this.#worker) return
    this.#isOpen = true
    for (const text of this.#early.splice(0)) this.#fromClient(text)
  }

  #fromClient(text: string): void {
    if (!this.#isOpen) {
      if (this.#early.length < EARLY_MAX) this.#early.push(text)
      return
    }
    const command = parseCommand(text)
    if (command === undefined) return
    this.#settings.note(command)
    const handler = HANDLED[command.method]
    if (handler === undefined) this.#forward(command, text)
    else this[handler](command)
  }

  #forward(command: Command, text = JSON.stringify(command)): void {
    this.#calls.expect(command.id, command.method === 'Debugger.setBreakpointByUrl' ? command : undefined)
    this.#runtime?.send(text)
  }

  /** Only the runtime's own agent may be asked first. */
  enableDebugger(command: Command): void {
    this.#forward(command)
    if (!this.#stops) this.#hideOurs()
    this.#options.onReady()
  }

  #hideOurs(): void {
    void this.#ask('Debugger.setBlackboxPatterns', { patterns: [...this.#hidden, ...OUR_SCRIPTS] })
  }

  setBlackboxPatterns(command: Command): void {
    this.#hidden = asArray(command.params?.['patterns'])
    if (this.#stops) {
      this.#reply({ id: command.id, result: {} })
      return
    }
    const patterns = [...this.#hidden, ...OUR_SCRIPTS]
    this.#forward({ ...command, params: { ...command.params, patterns } })
  }

  setBreakpoint(command: Command): void {
    const result = this.#breakpoints.find(command.params ?? {})
    if (result === undefined) this.#forward(command)
    else this.#reply({ id: command.id, result })
  }

  removeBreakpoint(command: Command): void {
    const breakpointId = this.#breakpoints.remove(asText(command.params?.['breakpointId']))
    if (breakpointId === undefined) this.#reply({ id: command.id, result: {} })
    else this.#forward({ ...command, params: { breakpointId } })
  }

  #fromRuntime(text: string): void {
    const method = methodOf(text)
    const rewrite = method === undefined ? undefined : REWRITTEN[method]
    if (rewrite !== undefined) {
      const event = parseEvent(text)
      const changed = event === undefined ? undefined : this[rewrite](event)
      if (changed !== undefined) this.#send(JSON.stringify(changed))
      return
    }
    const id = method === undefined ? replyId(text) : undefined
    if (id === undefined || !this.#settle(id, text)) this.#send(text)
  }

  /** False when the client is to see the reply as it is. */
  #settle(id: number, text: string): boolean {
    return this.#calls.settle(id, text, ({ params = {} }, result) =>
      this.#breakpoints.add(params, result, this.#worker?.scripts),
    )
  }

  /** The debugger is led to the author's files. */
  scriptParsed(event: DebuggerEvent): DebuggerEvent {
    if (isOurScript(asText(event.params['url']))) this.#ours.add(asText(event.params['scriptId']))
    const sourceMapURL = this.#worker?.scripts?.sourceMapOf(asText(event.params['url']))
    return sourceMapURL === undefined ? event : { ...event, params: { ...event.params, sourceMapURL } }
  }

  consoleAPICalled(event: DebuggerEvent): DebuggerEvent | undefined {
    return consoleEvent(event, this.#worker?.token ?? '')
  }

  breakpointResolved(event: DebuggerEvent): DebuggerEvent {
    const [breakpointId] = this.#breakpoints.namesOf(asText(event.params['breakpointId']))
    return { ...event, params: { ...event.params, breakpointId } }
  }

  paused(event: DebuggerEvent): DebuggerEvent | undefined {
    this.#isPaused = true
    if (this.#stops && this.#ours.has(topScript(event))) {
      void this.#ask('Debugger.stepInto', undefined)
      return undefined
    }
    if (this.#stops) this.#hideOurs()
    this.#stops = false
    const hit = asArray(event.params['hitBreakpoints']).flatMap((id) => this.#breakpoints.namesOf(asText(id)))
    return { ...event, params: { ...event.params, hitBreakpoints: hit } }
  }

  resumed(event: DebuggerEvent): DebuggerEvent | undefined {
    this.#isPaused = false
    return this.#stops ? undefined : event
  }

  #ask(method: string, params: Params | undefined): Promise<Reply | undefined> {
    return this.#calls.ask((text) => this.#runtime?.send(text), method, params)
  }

  #tell(method: string, params: Params): void {
    this.#send(JSON.stringify({ method, params }))
  }

  #reply(reply: Reply): void {
    this.#send(JSON.stringify(reply))
  }

  #send(text: string): void {
    if (this.isAlive) this.#options.client.send(text)
  }
}

/** `WebSocket.OPEN` */
const OPEN = 1
/** How long workerd may take to say goodbye. */
const CLOSE_MS = 1_000

/** A debugger says a few dozen things before it waits. */
const EARLY_MAX = 10_000

const HANDLED: Readonly<
  Record<string, 'enableDebugger' | 'setBlackboxPatterns' | 'setBreakpoint' | 'removeBreakpoint'>
> = {
  'Debugger.enable': 'enableDebugger',
  'Debugger.setBlackboxPatterns': 'setBlackboxPatterns',
  'Debugger.setBreakpointByUrl': 'setBreakpoint',
  'Debugger.removeBreakpoint': 'removeBreakpoint',
}

const REWRITTEN: Readonly<
  Record<string, 'scriptParsed' | 'consoleAPICalled' | 'breakpointResolved' | 'paused' | 'resumed'>
> = {
  'Debugger.scriptParsed': 'scriptParsed',
  'Runtime.consoleAPICalled': 'consoleAPICalled',
  'Debugger.breakpointResolved': 'breakpointResolved',
  'Debugger.paused': 'paused',
  'Debugger.resumed': 'resumed',
}
