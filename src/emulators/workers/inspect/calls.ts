import { OWN_IDS, parseReply, type Command, type Params, type Reply } from './protocol.ts'

/** Whoever asked it of the runtime. */
type Waiting =
  | { readonly kind: 'client'; readonly command: Command | undefined }
  | { readonly kind: 'own'; settle(reply: Reply | undefined): void }

/** Commands that a runtime has not answered: those of the debugger, and our own, of which it hears nothing. */
export class Calls {
  readonly #waiting = new Map<number, Waiting>()
  #ownId = OWN_IDS

  /** Sends a command of our own; undefined when the runtime is left before it answers. */
  ask(send: (text: string) => void, method: string, params: Params | undefined): Promise<Reply | undefined> {
    const id = this.nextId()
    return new Promise((resolve) => {
      this.#waiting.set(id, { kind: 'own', settle: resolve })
      send(JSON.stringify({ id, method, params }))
    })
  }

  nextId(): number {
    this.#ownId += 1
    return this.#ownId
  }

  /** The debugger asks; `command` is there when its reply is to be looked at. */
  expect(id: number, command: Command | undefined): void {
    this.#waiting.set(id, { kind: 'client', command })
  }

  /** False when the reply is the debugger's; `onReply` gets those that are to be looked at. */
  settle(id: number, text: string, onReply: (command: Command, result: Params) => void): boolean {
    const waiting = this.#waiting.get(id)
    this.#waiting.delete(id)
    if (waiting?.kind === 'own') {
      waiting.settle(parseReply(text))
      return true
    }
    if (waiting?.command !== undefined) {
      const { result } = parseReply(text) ?? {}
      if (result !== undefined) onReply(waiting.command, result)
    }
    return false
  }

  /** No reply comes any more; `onClient` gets the ids that the debugger waits for. */
  abandon(onClient: (id: number) => void): void {
    for (const [id, waiting] of this.#waiting) {
      if (waiting.kind === 'own') waiting.settle(undefined)
      else onClient(id)
    }
    this.#waiting.clear()
  }
}
