import { setTimeout as sleep } from 'node:timers/promises'

import { get, oneConnection } from './http.js'

const POLL_MS = 1
const KEPT_FAILURES = 5
const KEPT_CHARACTERS = 120

/**
 * Somebody who keeps asking: GET after GET over one kept-alive connection, 1 ms apart, until it is stopped.
 * Every answer that is not a 200 with an expected body, and every broken connection, is a failure.
 */
export class Watcher {
  failures = 0
  /** The first few, for the report. */
  failureTexts = []
  requests = 0
  #url
  #expected
  #agent = oneConnection()
  #waiting
  #stopped = false
  #loop

  constructor(url, body) {
    this.#url = url
    this.#expected = [body]
    this.#loop = this.#run()
  }

  /**
   * Resolves with the time (`performance.now()`) when `body` is first answered, or with undefined after `limitMs`.
   * Until then the bodies before it are right too, from then on they are failures. Call it in the same turn as the write.
   */
  async next(body, limitMs) {
    this.#expected.push(body)
    const seen = new Promise((resolve) => {
      this.#waiting = { body, resolve }
    })
    const timer = new AbortController()
    const late = sleep(limitMs, undefined, { signal: timer.signal }).catch(() => undefined)
    const at = await Promise.race([seen, late])
    timer.abort()
    this.#waiting = undefined
    return at
  }

  async stop() {
    this.#stopped = true
    await this.#loop
    this.#agent.destroy()
  }

  async #run() {
    while (!this.#stopped) {
      const answer = await get(this.#url, this.#agent).catch((error) => ({ error }))
      this.requests += 1
      this.#judge(answer)
      await sleep(POLL_MS)
    }
  }

  #judge({ error, status, body }) {
    if (error !== undefined) return this.#fail(error.code ?? error.message)
    if (status !== 200) return this.#fail(`${status} ${body.slice(0, KEPT_CHARACTERS)}`)
    if (this.#waiting?.body === body) {
      this.#waiting.resolve(performance.now())
      this.#expected = [body]
    } else if (!this.#expected.includes(body)) this.#fail(`unexpected: ${body.slice(0, KEPT_CHARACTERS)}`)
  }

  #fail(text) {
    this.failures += 1
    if (this.failureTexts.length < KEPT_FAILURES) this.failureTexts.push(text)
  }
}
