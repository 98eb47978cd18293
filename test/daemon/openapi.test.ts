import { readFileSync } from 'node:fs'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import type { Operation } from '../../src/daemon/api/schemas/operation.ts'
import { operations } from '../../src/daemon/api/schemas/operations.ts'
import { openTestDaemon, type TestDaemon } from './api-harness.ts'

interface Document {
  readonly openapi: string
  readonly servers: readonly { readonly url: string }[]
  readonly paths: Readonly<Record<string, Readonly<Record<string, DocumentOperation>>>>
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> }
}

interface DocumentOperation {
  readonly operationId: string
  readonly description: string
  readonly parameters: readonly { readonly name: string; readonly in: string; readonly schema: Schema }[]
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> }
  readonly responses: Readonly<Record<string, unknown>>
}

interface Schema {
  readonly [name: string]: unknown
  readonly type?: string
  readonly pattern?: string
  readonly required?: readonly string[]
  readonly properties?: Readonly<Record<string, Schema>>
}

let daemon: TestDaemon
let document: Document

beforeAll(async () => {
  daemon = await openTestDaemon()
  const answer = await daemon.ask('GET', '/_flexi/api/openapi.json', { token: null })
  document = answer.json as Document
})

afterAll(async () => {
  await daemon[Symbol.asyncDispose]()
})

const table = Object.entries<Operation>(operations)

describe('the OpenAPI document', () => {
  test('is there without a token, and says where the API is', () => {
    expect(document.openapi).toBe('3.1.0')
    expect(document.servers).toEqual([{ url: daemon.url }])
  })

  test('has every operation under its own name, and no other', () => {
    const described = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, { operationId }]) => `${operationId} ${method} ${path}`),
    )
    expect(described.toSorted()).toEqual(
      table.map(([id, { method, path }]) => `${id} ${method.toLowerCase()} ${path}`).toSorted(),
    )
  })

  test('names what each operation takes', () => {
    expect(document.paths['/api/upload/{key}']?.['post']?.description).toContain('permission:write')
    expect(document.paths['/api/whoami']?.['get']?.description).toContain('any valid token')
  })

  test('has every parameter of a path, and each of them is in the path', () => {
    for (const [path, methods] of Object.entries(document.paths)) {
      const named = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1])
      for (const { parameters } of Object.values(methods))
        expect(parameters.filter((each) => each.in === 'path').map(({ name }) => name)).toEqual(named)
    }
  })

  test('every reference leads somewhere', () => {
    const text = JSON.stringify(document)
    const references = [...text.matchAll(/"\$ref":"#\/([^"]+)"/g)].map((match) => match[1] ?? '')
    expect(references.length).toBeGreaterThan(50)
    for (const reference of new Set(references)) {
      const place = reference
        .split('/')
        .reduce<unknown>((at, name) => (at as Record<string, unknown>)?.[name], document)
      expect({ reference, leadsTo: typeof place }).toEqual({ reference, leadsTo: 'object' })
    }
    expect(text).not.toContain('$defs')
  })

  test('is made of the schemas that validate: what is optional may be left out, and numbers are numbers', () => {
    const { schemas } = document.components
    expect(schemas['OverridingConfig']?.required).toEqual(['addr', 'sandbox'])
    expect(schemas['VersionConfig']?.required).toBeUndefined()
    expect(schemas['UserChange']?.required).toEqual(['name'])
    const limit = document.paths['/api/audit']?.['get']?.parameters.find(({ name }) => name === 'limit')
    expect(limit?.schema).toMatchObject({ type: 'integer', minimum: 1, maximum: 10_000 })
    expect(schemas['Group']?.pattern).toMatch(/^\^\(\?:permission:/)
  })

  test('what is refused and what is answered are told', () => {
    const { responses = {} } = document.paths['/api/user/add']?.['post'] ?? {}
    expect(Object.keys(responses)).toEqual([
      '200',
      '400',
      '401',
      '403',
      '409',
      '413',
      '415',
      '422',
      '429',
      '500',
    ])
  })

  test('every operation that needs a permission refuses who has none', async () => {
    const token = daemon.token('nobody')
    for (const [id, { method, path, needs }] of table) {
      if (needs === 'any') continue
      const answer = await daemon.ask(method, path.replaceAll(/\{\w+\}/g, 'a'), { token })
      expect({ id, status: answer.status }).toEqual({ id, status: 403 })
    }
  })
})

describe('the page about the API', () => {
  const page = readFileSync(join(import.meta.dirname, '../../docs/daemon-api.md'), 'utf8')

  test.each(table)('has a line for %s', (_id, { method, path }) => {
    expect(page).toMatch(new RegExp(`\\b${method}\\b[^\\n]*\`${path.replaceAll(/[{}]/g, '\\$&')}`))
  })
})
