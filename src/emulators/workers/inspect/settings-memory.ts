import type { Command, Params } from './protocol.ts'

/** What a client switches on, in the order in which a new runtime must hear it; each is said once more with its last values. */
const SWITCHES = [
  'Runtime.enable',
  'Network.enable',
  'Debugger.enable',
  'Profiler.enable',
  'HeapProfiler.enable',
  'Runtime.setAsyncCallStackDepth',
  'Runtime.setCustomObjectFormatterEnabled',
  'Runtime.setMaxCallStackSizeToCapture',
  'Debugger.setAsyncCallStackDepth',
  'Debugger.setPauseOnExceptions',
  'Debugger.setBlackboxPatterns',
  'Debugger.setBlackboxExecutionContexts',
  'Debugger.setSkipAllPauses',
  'Debugger.setBreakpointsActive',
  'Profiler.setSamplingInterval',
] as const

/** What a new runtime must be told so that a debugger finds it as it left the one before. */
export class SettingsMemory {
  readonly #switches = new Map<string, Params | undefined>()
  /** Each by its name or its type. */
  readonly #named = new Map<string, Omit<Command, 'id'>>()

  /** The client says this. */
  note({ method, params }: Command): void {
    const [domain, action] = method.split('.')
    if ((SWITCHES as readonly string[]).includes(method)) this.#switches.set(method, params)
    if (action === 'disable') this.#forget(`${domain}.`)
    if (method === 'Runtime.addBinding' || method === 'Debugger.setInstrumentationBreakpoint')
      this.#named.set(JSON.stringify([method, params?.['name'] ?? params?.['instrumentation']]), {
        method,
        params,
      })
  }

  get isDebugging(): boolean {
    return this.#switches.has('Debugger.enable')
  }

  commands(): readonly Omit<Command, 'id'>[] {
    const switches = SWITCHES.filter((method) => this.#switches.has(method)).map((method) => ({
      method,
      params: this.#switches.get(method),
    }))
    return [...switches, ...this.#named.values()]
  }

  #forget(prefix: string): void {
    for (const method of this.#switches.keys()) if (method.startsWith(prefix)) this.#switches.delete(method)
  }
}
