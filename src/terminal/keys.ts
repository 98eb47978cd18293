/** What a key does. Ctrl-C is a key like any other while the terminal is in raw mode. */
export interface Keys {
  readonly interrupt: () => void
  /** One character → what it does. */
  readonly actions: Readonly<Record<string, () => void>>
  /** The terminal is gone (window closed, connection lost). */
  readonly gone: () => void
}

const CTRL_C = '\u0003'
const CTRL_D = '\u0004'
const CTRL_Z = '\u001a'

/** Listens to single keys until disposed; the terminal is given back as it was. */
export function listenToKeys(input: NodeJS.ReadStream, keys: Keys): Disposable {
  const onData = (data: Buffer): void => {
    // A paste, or an arrow key's escape sequence, is not a command.
    const text = data.toString('latin1')
    if (text === CTRL_C || text === CTRL_D) keys.interrupt()
    else if (text === CTRL_Z) suspend(input)
    else keys.actions[text.toLowerCase()]?.()
  }
  const resume = (): void => void input.setRawMode(true)
  input.setRawMode(true)
  input.on('data', onData).on('end', keys.gone).on('error', keys.gone)
  input.resume()
  process.on('SIGCONT', resume)
  return {
    [Symbol.dispose]: () => {
      process.off('SIGCONT', resume)
      input.off('data', onData).off('end', keys.gone).off('error', keys.gone)
      if (!input.destroyed) input.setRawMode(false)
      input.pause()
    },
  }
}

/** Raw mode takes Ctrl-Z from the terminal's hands, so we stop ourselves. */
function suspend(input: NodeJS.ReadStream): void {
  input.setRawMode(false)
  process.kill(process.pid, 'SIGTSTP')
}
