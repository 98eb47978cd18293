import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import type { AccessRecord, DevEvent } from '../../src/core/events.ts'
import { createMetrics, type Metrics, type Snapshot } from '../../src/metrics/metrics.ts'
import { parseScrape, valueOf, type ScrapedFamily } from './prometheus-text.ts'

const QUIET: Snapshot = { inFlight: 0, pools: new Map(), origins: [] }

function request(record: Partial<AccessRecord> = {}): DevEvent {
  return {
    event: 'request',
    id: 'one',
    clientAddress: '127.0.0.1',
    clientPort: 4711,
    method: 'GET',
    target: '/',
    httpVersion: '1.1',
    status: 200,
    bytes: 0,
    ttfbMs: 1,
    ttlbMs: 1,
    route: '/',
    aborted: false,
    notes: {},
    ...record,
  }
}

const metrics = (): Metrics => createMetrics({ controlPrefix: '/_flexi' })

async function scrape(one: Metrics, snapshot = QUIET): Promise<ReadonlyMap<string, ScrapedFamily>> {
  return parseScrape((await one.scrape(snapshot)).text)
}

async function observed(
  events: readonly DevEvent[],
  snapshot = QUIET,
): Promise<ReadonlyMap<string, ScrapedFamily>> {
  const one = metrics()
  for (const event of events) one.observe(event)
  return scrape(one, snapshot)
}

describe('requests', () => {
  test('are counted by route, method and status', async () => {
    const families = await observed([
      request(),
      request(),
      request({ status: 503 }),
      request({ method: 'POST', route: 'Host: iam /' }),
    ])
    const total = (labels: Record<string, string>) => valueOf(families, 'flexi_http_requests_total', labels)
    expect(total({ route: '/', method: 'GET', status: '200' })).toBe(2)
    expect(total({ route: '/', method: 'GET', status: '503' })).toBe(1)
    expect(total({ route: 'Host: iam /', method: 'POST', status: '200' })).toBe(1)
    expect(families.get('flexi_http_requests_total')?.samples).toHaveLength(3)
  })

  test('stand in the cumulative bucket whose bound they do not exceed', async () => {
    const families = await observed(
      [0.4, 1, 1.01, 700, 90_000].map((ms) => request({ ttlbMs: ms, ttfbMs: 3 })),
    )
    const bucket = (le: string) =>
      valueOf(families, 'flexi_http_request_duration_seconds_bucket', { route: '/', le })
    expect([
      bucket('0.001'),
      bucket('0.0025'),
      bucket('0.5'),
      bucket('1'),
      bucket('60'),
      bucket('+Inf'),
    ]).toEqual([2, 3, 3, 4, 4, 5])
    expect(valueOf(families, 'flexi_http_request_duration_seconds_count', { route: '/' })).toBe(5)
    expect(valueOf(families, 'flexi_http_request_duration_seconds_sum', { route: '/' })).toBeCloseTo(90.70241)
    expect(valueOf(families, 'flexi_http_first_byte_seconds_bucket', { le: '0.005' })).toBe(5)
  })

  test('an upgraded connection counts, but an hour of chat is no latency', async () => {
    const families = await observed([request({ status: 101, ttlbMs: 3_600_000, bytes: 7 })])
    expect(valueOf(families, 'flexi_http_requests_total', { status: '101' })).toBe(1)
    expect(valueOf(families, 'flexi_http_response_bytes_total')).toBe(7)
    expect(valueOf(families, 'flexi_http_request_duration_seconds_count')).toBe(0)
  })

  test('bytes add up, and answers that broke off are told apart', async () => {
    const families = await observed([
      request({ bytes: 10 }),
      request({ bytes: 5, aborted: true, status: 499 }),
    ])
    expect(valueOf(families, 'flexi_http_response_bytes_total', { route: '/' })).toBe(15)
    expect(valueOf(families, 'flexi_http_requests_aborted_total', { route: '/' })).toBe(1)
    expect(valueOf(families, 'flexi_http_requests_total', { status: '499' })).toBe(1)
  })

  test.each([
    ['none', { target: '/nowhere' }],
    ['none', { target: '/_flexible' }],
    ['/_flexi', { target: '/_flexi/healthz' }],
    ['/_flexi/f/hello/', { target: '/x', notes: { function: 'hello' } }],
  ])('without a route are said to be of %s: %j', async (route, record) => {
    const families = await observed([request({ ...record, route: undefined })])
    expect(valueOf(families, 'flexi_http_requests_total', { route })).toBe(1)
  })

  test('no client can make new series: methods, paths and statuses of its own share those there are', async () => {
    const one = metrics()
    const wild = fc.record({
      method: fc.string(),
      target: fc.webPath().map((path) => `/${path}`),
      status: fc.integer({ min: 0, max: 99_999 }),
      route: fc.constantFrom('/', '/api', undefined),
    })
    fc.assert(
      fc.property(wild, (record) => one.observe(request(record))),
      { numRuns: 2_000 },
    )
    const samples = (await scrape(one)).get('flexi_http_requests_total')?.samples ?? []
    expect(new Set(samples.map(({ labels }) => labels['route']))).toEqual(new Set(['/', '/api', 'none']))
    expect(samples.every(({ labels }) => /^([A-Z]+|other)$/.test(labels['method'] ?? ''))).toBe(true)
    expect(new Set(samples.map(({ labels }) => labels['status'])).size).toBeLessThan(70)
    expect(samples.reduce((total, { value }) => total + value, 0)).toBe(2_000)
  })

  test('a day of new routes ends in "other", because every route is memory', async () => {
    const one = metrics()
    for (let n = 0; n < 2_000; n += 1) one.observe(request({ route: `/${n}` }))
    const samples = (await scrape(one)).get('flexi_http_requests_total')?.samples ?? []
    expect(samples.length).toBe(501)
    expect(samples.find(({ labels }) => labels['route'] === 'other')?.value).toBe(1_500)
  })

  test('a route with quotes and backslashes is one label value', async () => {
    const route = 'X: "a\\b" /'
    expect(valueOf(await observed([request({ route })]), 'flexi_http_requests_total', { route })).toBe(1)
  })

  test('counting costs less than a microsecond, or it would show in what is counted', () => {
    const one = metrics()
    const event = request()
    for (let n = 0; n < 50_000; n += 1) one.observe(event)
    const startedAt = performance.now()
    for (let n = 0; n < 200_000; n += 1) one.observe(event)
    expect(((performance.now() - startedAt) * 1e6) / 200_000).toBeLessThan(1_000)
  })
})

describe('what changes', () => {
  const reload = (durationMs: number): DevEvent => ({
    event: 'reload',
    function: 'hello',
    revision: 'r1',
    files: [],
    durationMs,
  })
  const error = (name?: string): DevEvent => ({
    event: 'error',
    code: 'FLEXI_BUILD',
    message: 'no',
    function: name,
    faults: [],
  })
  const configuration: DevEvent = { event: 'configuration', functions: [], routes: [], durationMs: 20 }

  test('reloads are counted by function and outcome, and timed when they succeed', async () => {
    const families = await observed([reload(20), reload(300), error('hello')])
    const hello = { function: 'hello' }
    expect(valueOf(families, 'flexi_function_reloads_total', { ...hello, outcome: 'success' })).toBe(2)
    expect(valueOf(families, 'flexi_function_reloads_total', { ...hello, outcome: 'failure' })).toBe(1)
    expect(valueOf(families, 'flexi_function_reload_duration_seconds_count', hello)).toBe(2)
    expect(valueOf(families, 'flexi_function_reload_duration_seconds_bucket', { le: '0.025' })).toBe(1)
  })

  test('a broken configuration shows until a good one holds', async () => {
    const one = metrics()
    expect(valueOf(await scrape(one), 'flexi_configuration_last_reload_successful')).toBe(1)
    one.observe(error())
    expect(valueOf(await scrape(one), 'flexi_configuration_last_reload_successful')).toBe(0)
    one.observe(configuration)
    const families = await scrape(one)
    expect(valueOf(families, 'flexi_configuration_last_reload_successful')).toBe(1)
    expect(valueOf(families, 'flexi_configuration_reloads_total', { outcome: 'success' })).toBe(1)
    expect(valueOf(families, 'flexi_configuration_reloads_total', { outcome: 'failure' })).toBe(1)
    const at = valueOf(families, 'flexi_configuration_last_reload_success_timestamp_seconds') ?? 0
    expect(Math.abs(at - Date.now() / 1_000)).toBeLessThan(10)
  })

  test('faults are counted by function and kind', async () => {
    const fault = (kind: 'crash' | 'throw'): DevEvent => ({
      event: 'fault',
      function: 'hello',
      kind,
      name: 'SIGSEGV',
      message: 'gone',
    })
    const families = await observed([fault('crash'), fault('crash'), fault('throw')])
    expect(valueOf(families, 'flexi_function_faults_total', { function: 'hello', kind: 'crash' })).toBe(2)
    expect(valueOf(families, 'flexi_function_faults_total', { function: 'hello', kind: 'throw' })).toBe(1)
  })
})

describe('what is read when somebody asks', () => {
  test('pools: instances, queues and cold starts of every function', async () => {
    const counts = { started: 3, startedMs: 450, startFailed: 1, ended: 2, refused: 4 }
    const pool = { instances: 2, inFlight: 1, queued: 5, draining: 1, counts }
    const families = await observed([], { ...QUIET, inFlight: 6, pools: new Map([['hello', pool]]) })
    const of = (name: string) => valueOf(families, name, { function: 'hello' })
    expect(of('flexi_function_instances')).toBe(2)
    expect(of('flexi_function_requests_in_flight')).toBe(1)
    expect(of('flexi_function_requests_queued')).toBe(5)
    expect(of('flexi_function_revisions_draining')).toBe(1)
    expect(of('flexi_function_cold_starts_total')).toBe(3)
    expect(of('flexi_function_cold_start_seconds_total')).toBe(0.45)
    expect(of('flexi_function_cold_start_failures_total')).toBe(1)
    expect(of('flexi_function_instance_exits_total')).toBe(2)
    expect(of('flexi_function_requests_refused_total')).toBe(4)
    expect(valueOf(families, 'flexi_http_requests_in_flight')).toBe(6)
  })

  test('a function that is gone is gone from the pools', async () => {
    const counts = { started: 1, startedMs: 1, startFailed: 0, ended: 0, refused: 0 }
    const one = metrics()
    const pool = { instances: 1, inFlight: 0, queued: 0, draining: 0, counts }
    await scrape(one, { ...QUIET, pools: new Map([['old', pool]]) })
    expect((await scrape(one)).get('flexi_function_instances')?.samples).toEqual([])
  })

  test('upstreams: health, circuit and requests by origin', async () => {
    const families = await observed([], {
      ...QUIET,
      origins: [
        { url: 'http://127.0.0.1:1', circuit: 'closed', inFlight: 2 },
        { url: 'http://127.0.0.1:2', circuit: 'ejected', inFlight: 0 },
      ],
    })
    const second = { origin: 'http://127.0.0.1:2' }
    expect(valueOf(families, 'flexi_upstream_up', { origin: 'http://127.0.0.1:1' })).toBe(1)
    expect(valueOf(families, 'flexi_upstream_requests_in_flight', { origin: 'http://127.0.0.1:1' })).toBe(2)
    expect(valueOf(families, 'flexi_upstream_up', second)).toBe(0)
    expect(valueOf(families, 'flexi_upstream_circuit', { ...second, state: 'ejected' })).toBe(1)
    expect(valueOf(families, 'flexi_upstream_circuit', { ...second, state: 'closed' })).toBe(0)
  })

  test('an origin of two routes is one series: its requests add up, its worst state is told', async () => {
    const families = await observed([], {
      ...QUIET,
      origins: [
        { url: 'http://a', circuit: 'down', inFlight: 2 },
        { url: 'http://a', circuit: 'closed', inFlight: 3 },
      ],
    })
    expect(valueOf(families, 'flexi_upstream_requests_in_flight')).toBe(5)
    expect(valueOf(families, 'flexi_upstream_circuit', { state: 'down' })).toBe(1)
    expect(valueOf(families, 'flexi_upstream_up')).toBe(0)
  })

  test('no password of an origin is told', async () => {
    const one = metrics()
    const origins = [{ url: 'http://user:secret@a:80/base', circuit: 'closed', inFlight: 0 }] as const
    const { text } = await one.scrape({ ...QUIET, origins })
    expect(text).toContain('origin="http://a:80/base"')
    expect(text).not.toContain('secret')
  })

  test('the process: memory, descriptors, event loop, and which flexi it is', async () => {
    const families = await scrape(metrics())
    expect(valueOf(families, 'process_resident_memory_bytes')).toBeGreaterThan(1e7)
    expect(valueOf(families, 'nodejs_heap_size_used_bytes')).toBeGreaterThan(1e6)
    expect(families.has('nodejs_eventloop_lag_p99_seconds')).toBe(true)
    if (process.platform === 'linux') expect(valueOf(families, 'process_open_fds')).toBeGreaterThan(3)
    expect(valueOf(families, 'flexi_build_info', { node: process.version })).toBe(1)
  })

  test('two projects of one process share what is the process’s, and nothing else', async () => {
    const [one, two] = [metrics(), metrics()]
    one.observe(request())
    expect(valueOf(await scrape(one), 'flexi_http_requests_total')).toBe(1)
    const other = await scrape(two)
    expect(valueOf(other, 'flexi_http_requests_total')).toBeUndefined()
    expect(valueOf(other, 'process_resident_memory_bytes')).toBeGreaterThan(1e7)
  })

  test('families have names, types and help as Prometheus wants them', async () => {
    const one = metrics()
    one.observe(request())
    const { contentType, text } = await one.scrape(QUIET)
    expect(contentType).toBe('text/plain; version=0.0.4; charset=utf-8')
    const own = [...parseScrape(text).values()].filter(({ name }) => name.startsWith('flexi_'))
    expect(own.length).toBeGreaterThan(25)
    for (const { name, type, help } of own) {
      expect(help).toMatch(/\.$/)
      expect([name, name.endsWith('_total')]).toEqual([name, type === 'counter'])
    }
  })
})
