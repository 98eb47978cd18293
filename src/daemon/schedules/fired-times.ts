import type { Store } from '../store.ts'

/** A clock that was set back by more shows another time, which counts. */
export const SET_RIGHT_MS_MAX = 900_000

/** Up to when what was due of a function has been fired, by whichever process of the daemon. */
export class FiredTimes {
  readonly #settings: Store['settings']

  constructor({ settings }: Pick<Store, 'settings'>) {
    this.#settings = settings
  }

  /** Milliseconds since the epoch; 0 when nothing was. */
  of(name: string, now: number): number {
    const at = Number(this.#settings.get(settingOf(name)) ?? '0')
    return at - now > SET_RIGHT_MS_MAX ? 0 : at
  }

  set(name: string, at: number): void {
    this.#settings.set(settingOf(name), String(at))
  }

  forget(name: string): void {
    this.#settings.remove(settingOf(name))
  }
}

function settingOf(name: string): string {
  return `fired:${name}`
}
