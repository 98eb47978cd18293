import { writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { join } from 'node:path'

import { describe, expect, test } from 'vitest'

import { startApp, type App } from '../../src/app.ts'
import type { DevEvent } from '../../src/core/events.ts'
import type { AbsolutePath } from '../../src/core/place.ts'
import { temporaryFolder } from '../app/flexi-process.ts'
import { httpUpstream } from '../gateway/harness.ts'
import { parseScrape, valueOf, type ScrapedFamily } from './prometheus-text.ts'

interface TestApp extends AsyncDisposable {
  readonly app: App
  readonly events: DevEvent[]
  rewrite(proxyIni: string): Promise<void>
  scrape(): Promise<ReadonlyMap<string, ScrapedFamily>>
}

async function openApp(proxyIni: string, { watch = true } = {}): Promise<TestApp> {
  const folder = await temporaryFolder()
  const file = join(folder.path, 'proxy.ini')
  await writeFile(file, proxyIni)
  const events: DevEvent[] = []
  const app = await startApp({
    directory: folder.path as AbsolutePath,
    mode: 'dev',
    host: '127.0.0.1',
    port: 0,
    portIsFixed: true,
    environment: {},
    watch,
    startedAt: 0,
    onEvent: (event) => events.push(event),
  })
  return {
    app,
    events,
    rewrite: (text) => writeFile(file, text),
    scrape: async () => parseScrape(await (await fetch(`${app.url}/_flexi/metrics`)).text()),
    async [Symbol.asyncDispose]() {
      await app[Symbol.asyncDispose]()
      await folder[Symbol.asyncDispose]()
    },
  }
}

/** With a Host of the caller's own, which fetch does not allow. */
function statusAs(host: string, url: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { headers: { host } }, (incoming) => {
      incoming.resume()
      resolve(incoming.statusCode)
    })
    outgoing.once('error', reject).end()
  })
}

describe('/_flexi/metrics', () => {
  test('tells exactly the traffic there was', async () => {
    await using upstream = await httpUpstream((incoming, outgoing) => {
      outgoing.statusCode = incoming.url === '/missing' ? 404 : 200
      outgoing.end('hello world\n')
    })
    await using served = await openApp(`/api = ${upstream.origin}\n/gone = http://127.0.0.1:1\n`)
    const { url } = served.app
    for (let n = 0; n < 5; n += 1) await (await fetch(`${url}/api/${n}`)).text()
    await (await fetch(`${url}/api`, { method: 'POST', body: 'x' })).text()
    await (await fetch(`${url}/gone`)).text()
    await (await fetch(`${url}/elsewhere`)).text()
    await expect.poll(() => served.events.filter(({ event }) => event === 'request').length).toBe(8)
    const families = await served.scrape()
    const total = (labels: Record<string, string>) => valueOf(families, 'flexi_http_requests_total', labels)
    expect(total({ route: '/api', method: 'GET', status: '200' })).toBe(5)
    expect(total({ route: '/api', method: 'POST', status: '200' })).toBe(1)
    expect(total({ route: '/gone', method: 'GET', status: '502' })).toBe(1)
    expect(total({ route: 'none', method: 'GET', status: '404' })).toBe(1)
    expect(families.get('flexi_http_requests_total')?.samples).toHaveLength(4)
    const api = { route: '/api' }
    expect(valueOf(families, 'flexi_http_request_duration_seconds_count', api)).toBe(6)
    expect(valueOf(families, 'flexi_http_request_duration_seconds_bucket', { ...api, le: '+Inf' })).toBe(6)
    expect(valueOf(families, 'flexi_http_response_bytes_total', api)).toBe(6 * 'hello world\n'.length)
    expect(valueOf(families, 'flexi_upstream_up', { origin: upstream.origin })).toBe(1)
    expect(valueOf(families, 'flexi_upstream_requests_in_flight', { origin: upstream.origin })).toBe(0)
    // The scrape itself is under way.
    expect(valueOf(families, 'flexi_http_requests_in_flight')).toBe(1)
    await expect
      .poll(async () => valueOf(await served.scrape(), 'flexi_http_requests_total', { route: '/_flexi' }))
      .toBeGreaterThanOrEqual(1)
  })

  test('has the content type that Prometheus asks for, and is never stored', async () => {
    await using served = await openApp('/ = ./\n')
    const { status, headers } = await fetch(`${served.app.url}/_flexi/metrics`)
    expect(status).toBe(200)
    expect(headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
    expect(headers.get('cache-control')).toBe('no-store')
  })

  test('counts a configuration that was taken over, and one with a fault', async () => {
    await using served = await openApp('/ = ./\n')
    await served.rewrite('/a = ./\n')
    await expect.poll(() => served.events.some(({ event }) => event === 'configuration')).toBe(true)
    await served.rewrite('no target\n')
    await expect.poll(() => served.events.some(({ event }) => event === 'error')).toBe(true)
    const families = await served.scrape()
    expect(valueOf(families, 'flexi_configuration_reloads_total', { outcome: 'success' })).toBe(1)
    expect(valueOf(families, 'flexi_configuration_reloads_total', { outcome: 'failure' })).toBe(1)
    expect(valueOf(families, 'flexi_configuration_last_reload_successful')).toBe(0)
  })

  test('a reading on demand counts too, so that SIGHUP after a repair ends the alarm', async () => {
    await using served = await openApp('/ = ./\n', { watch: false })
    await served.rewrite('no target\n')
    await served.app.restart()
    expect(valueOf(await served.scrape(), 'flexi_configuration_last_reload_successful')).toBe(0)
    await served.rewrite('/a = ./\n')
    await served.app.restart()
    const families = await served.scrape()
    expect(valueOf(families, 'flexi_configuration_last_reload_successful')).toBe(1)
    expect(valueOf(families, 'flexi_configuration_reloads_total', { outcome: 'success' })).toBe(1)
  })

  test('is refused under a foreign host name: a page of another site could read it', async () => {
    await using served = await openApp('/ = ./\n')
    const url = `${served.app.url}/_flexi/metrics`
    expect(await statusAs('evil.example', url)).toBe(403)
    expect(await statusAs('localhost', url)).toBe(200)
  })

  test('methods that nobody knows are one series', async () => {
    await using upstream = await httpUpstream((_incoming, outgoing) => outgoing.end())
    await using served = await openApp(`/ = ${upstream.origin}\n`)
    for (const method of ['PROPFIND', 'LINK', 'REPORT'])
      await (await fetch(served.app.url, { method })).text()
    await expect
      .poll(async () => valueOf(await served.scrape(), 'flexi_http_requests_total', { method: 'other' }))
      .toBe(3)
  })
})
