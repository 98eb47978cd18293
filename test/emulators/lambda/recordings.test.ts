import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import type { Program, RecordedCase, RecordedCases } from './recorded/case.ts'
import { openCloud, type Cloud } from './recorded/cloud.ts'
import { Comparison, pathMatches } from './recorded/comparison.ts'
import { CONCURRENCY } from './recorded/concurrency.ts'
import { FAILURES } from './recorded/failures.ts'
import { FUNCTIONS } from './recorded/function-states.ts'
import { INVOCATIONS } from './recorded/invocations.ts'
import { RUNTIMES } from './recorded/runtimes.ts'
import { URLS } from './recorded/urls.ts'

const CASES: RecordedCases = {
  ...INVOCATIONS,
  ...FAILURES,
  ...FUNCTIONS,
  ...CONCURRENCY,
  ...URLS,
  ...RUNTIMES,
}

const ROOT = join(import.meta.dirname, '../../..')
const FOLDER = join(ROOT, '../shared/fixtures/lambda/recordings')
const isThere = existsSync(FOLDER)

type Recordings = Readonly<Record<string, { readonly 'recorded-content': unknown }>>

/** By the end of their ids; the few that were recorded twice keep the whole id for the older one. */
function recordings(): ReadonlyMap<string, unknown> {
  const all = new Map<string, unknown>()
  for (const file of ['test_lambda_common.json', 'test_lambda.json']) {
    const recorded = JSON.parse(readFileSync(join(FOLDER, file), 'utf8')) as Recordings
    for (const [id, { 'recorded-content': content }] of Object.entries(recorded))
      all.set(id.includes('/services/') ? id.slice(id.indexOf('::') + 2) : id, content)
  }
  return all
}

const RECORDED = isThere ? recordings() : new Map<string, unknown>()

function missing({ needs = [] }: RecordedCase): Program | undefined {
  return needs.find((program) => !runs(program))
}

const known = new Map<Program, boolean>()

function runs(program: Program): boolean {
  const is = known.get(program) ?? spawnSync(program, ['--version']).status === 0
  known.set(program, is)
  return is
}

const SKIPPED = isThere ? '' : ' (skipped: no recordings here)'

describe.skipIf(!isThere)(`the cloud’s recorded answers are flexi’s${SKIPPED}`, () => {
  let cloud: Cloud
  beforeAll(async () => {
    cloud = await openCloud()
  })
  afterAll(() => cloud?.[Symbol.asyncDispose]())

  for (const [index, [id, recorded]] of Object.entries(CASES).entries()) {
    const lacks = missing(recorded)
    const title = lacks === undefined ? id : `${id} (skipped: no ${lacks} here)`
    const run = lacks === undefined ? test.concurrent : test.skip
    run(title, { timeout: 40_000 }, async ({ expect: expected }) => {
      const actual = await recorded.run(cloud, `recorded-${index}`)
      const found = new Comparison().differences(RECORDED.get(id), actual)
      const patterns = Object.keys(recorded.differs ?? {})
      const named = [...patterns, ...Object.keys(recorded.varies ?? {})]
      const isNamed = (path: string): boolean => named.some((pattern) => pathMatches(pattern, path))
      expected(found.filter(({ path }) => !isNamed(path))).toEqual([])
      // What is named as a difference is one: else the name goes.
      expected(patterns.filter((pattern) => found.some(({ path }) => pathMatches(pattern, path)))).toEqual(
        patterns,
      )
    })
  }
})

test.skipIf(!isThere)(`every recording is run, or named with a reason in docs/fidelity.md${SKIPPED}`, () => {
  const page = readFileSync(join(ROOT, 'docs/fidelity.md'), 'utf8')
  const [, section = ''] = page.split('<!-- recordings that are not run -->')
  const patterns = [...section.matchAll(/`([^`]+::[^`]+)`/g)].map(([, pattern = '']) => pattern)
  const named = (id: string): boolean => patterns.some((pattern) => pathMatches(pattern, id))
  const ids = [...RECORDED.keys()]
  expect(ids.length).toBe(227)
  expect(ids.filter((id) => !(id in CASES) && !named(id))).toEqual([])
  expect(ids.filter((id) => id in CASES && named(id))).toEqual([])
  expect(Object.keys(CASES).filter((id) => !RECORDED.has(id))).toEqual([])
  expect(patterns.filter((pattern) => !ids.some((id) => pathMatches(pattern, id)))).toEqual([])
})
