import { randomUUID } from 'node:crypto'

import { beforeEach, describe, expect, test } from 'vitest'

import type { ApiAnswer, ApiRequest } from '../../../src/emulators/lambda/extensions/api-request.ts'
import { ExtensionsApi } from '../../../src/emulators/lambda/extensions/extensions-api.ts'

const ID = 'lambda-extension-identifier'

describe('the Extensions API', () => {
  let api: ExtensionsApi
  let failures: string[]

  beforeEach(() => {
    failures = []
    api = new ExtensionsApi({
      functionName: 'tested',
      functionVersion: '$LATEST',
      handler: 'app.handler',
      accountId: '123456789012',
      external: ['outside'],
      changed: () => undefined,
      failed: ({ name }, errorType) => failures.push(`${name} ${errorType}`),
    })
  })

  function call(
    method: string,
    path: string,
    fields: Readonly<Record<string, string>> = {},
    body: unknown = {},
  ): Promise<ApiAnswer> {
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    const request: ApiRequest = {
      method,
      path: `/2020-01-01/extension/${path}`,
      fields: new Map(Object.entries(fields)),
      body: Buffer.from(text),
    }
    return api.handle(request) ?? Promise.reject(new Error('no such path'))
  }

  const register = (
    name: string,
    body: unknown = { events: ['INVOKE'] },
    fields: Readonly<Record<string, string>> = {},
  ): Promise<ApiAnswer> => call('POST', 'register', { 'lambda-extension-name': name, ...fields }, body)

  async function registered(name = 'outside'): Promise<Record<string, string>> {
    const { fields } = await register(name)
    return { [ID]: fields['Lambda-Extension-Identifier'] ?? '' }
  }

  const errorType = ({ status, body }: ApiAnswer): string =>
    `${status} ${(JSON.parse(body) as { errorType: string }).errorType}`

  test('tells who registers about the function, and the account where it is asked for', async () => {
    const answer = await register(
      'outside',
      { events: ['INVOKE'] },
      { 'lambda-extension-accept-feature': 'accountId' },
    )
    expect(answer.status).toBe(200)
    expect(answer.fields['Lambda-Extension-Identifier']).toMatch(/^[\da-f-]{36}$/)
    expect(JSON.parse(answer.body)).toEqual({
      functionName: 'tested',
      functionVersion: '$LATEST',
      handler: 'app.handler',
      accountId: '123456789012',
    })
    expect(JSON.parse((await register('inside')).body)).not.toHaveProperty('accountId')
  })

  test.each([
    ['no name', '', { events: [] }, '403 Extension.InvalidExtensionName'],
    ['no JSON', 'outside', '{', '403 InvalidRequestFormat'],
    ['no list of events', 'outside', { events: 'INVOKE' }, '403 InvalidRequestFormat'],
    ['configuration keys', 'outside', { events: [], configurationKeys: ['a'] }, '403 InvalidRequestFormat'],
    ['an unknown event', 'outside', { events: ['RESTART'] }, '403 Extension.InvalidEventType'],
    ['SHUTDOWN from inside', 'inside', { events: ['SHUTDOWN'] }, '403 Extension.InvalidEventType'],
  ])('refuses a registration with %s', async (_what, name, body, refused) => {
    expect(errorType(await register(name, body))).toBe(refused)
  })

  test('refuses who has registered already', async () => {
    await register('outside')
    await register('inside')
    expect(errorType(await register('outside'))).toBe('403 Extension.InvalidExtensionState')
    expect(errorType(await register('inside'))).toBe('403 Extension.InvalidExtensionName')
  })

  test('takes ten extensions, and nobody once registration is closed', async () => {
    for (let count = 1; count < 10; count += 1) expect((await register(`inside-${count}`)).status).toBe(200)
    expect(errorType(await register('one-more'))).toBe('403 Extension.TooManyExtensions')
    api.closeRegistration()
    expect(errorType(await register('too-late'))).toBe('403 Extension.RegistrationClosed')
  })

  test.each([
    ['no identifier', {}, '403 Extension.MissingExtensionIdentifier'],
    ['one that is no UUID', { [ID]: 'me' }, '403 Extension.InvalidExtensionIdentifier'],
    ['one that nobody has', { [ID]: randomUUID() }, '403 Extension.UnknownExtensionIdentifier'],
  ])('refuses a call with %s', async (_what, fields, refused) => {
    expect(errorType(await call('GET', 'event/next', fields))).toBe(refused)
    expect(errorType(await call('POST', 'exit/error', fields))).toBe(refused)
  })

  test('hands an event to those that asked for its type, each with an identifier of its own', async () => {
    const outside = await registered()
    await register('inside', { events: [] })
    const next = call('GET', 'event/next', outside)
    expect(api.send('INVOKE', { requestId: 'r-1' }).map(({ name }) => name)).toEqual(['outside'])
    const { fields, body } = await next
    expect(JSON.parse(body)).toEqual({ eventType: 'INVOKE', requestId: 'r-1' })
    expect(fields['Lambda-Extension-Event-Identifier']).toMatch(/^[\da-f-]{36}$/)
    expect(api.areAllReady).toBe(false)
    void call('GET', 'event/next', outside)
    expect(api.areAllReady).toBe(true)
  })

  test('keeps an event for one that is still busy with the last', async () => {
    const outside = await registered()
    const first = call('GET', 'event/next', outside)
    api.send('INVOKE', { requestId: 'r-1' })
    await first
    api.send('INVOKE', { requestId: 'r-2' })
    expect((await call('GET', 'event/next', outside)).body).toContain('r-2')
  })

  test('gives an event to the last call, because a client that asks again has given up', async () => {
    const outside = await registered()
    void call('GET', 'event/next', outside)
    const again = call('GET', 'event/next', outside)
    api.send('INVOKE', { requestId: 'r-1' })
    expect((await again).body).toContain('r-1')
  })

  test('keeps an event for a client that has left and comes back', async () => {
    const outside = await registered()
    let leave = (): void => undefined
    void api.handle({
      method: 'GET',
      path: '/2020-01-01/extension/event/next',
      fields: new Map(Object.entries(outside)),
      body: Buffer.alloc(0),
      whenClosed: (left) => {
        leave = left
      },
    })
    leave()
    api.send('INVOKE', { requestId: 'r-1' })
    expect((await call('GET', 'event/next', outside)).body).toContain('r-1')
  })

  test('takes errors where they make sense, with their type', async () => {
    const outside = await registered()
    expect(errorType(await call('POST', 'init/error', outside))).toBe('403 Extension.MissingHeader')
    const typed = { ...outside, 'lambda-extension-function-error-type': 'Extension.Sad' }
    expect((await call('POST', 'init/error', typed)).status).toBe(202)
    expect(failures).toEqual(['outside Extension.Sad'])
    expect(errorType(await call('GET', 'event/next', outside))).toBe('403 Extension.InvalidExtensionState')
    expect(errorType(await call('POST', 'exit/error', typed))).toBe('403 Extension.InvalidExtensionState')
  })

  test('takes no error of the start from one that has started', async () => {
    const outside = await registered()
    void call('GET', 'event/next', outside)
    const typed = { ...outside, 'lambda-extension-function-error-type': 'Extension.Sad' }
    expect(errorType(await call('POST', 'init/error', typed))).toBe('403 Extension.InvalidExtensionState')
    expect((await call('POST', 'exit/error', typed)).status).toBe(202)
  })

  test('says what a start still waits for', async () => {
    expect(api.pending).toEqual(['the extension outside has not registered'])
    const outside = await registered()
    expect(api.pending).toEqual(['the extension outside has not asked for its first event'])
    void call('GET', 'event/next', outside)
    expect(api.pending).toEqual([])
  })

  test('knows no other path', () => {
    expect(
      api.handle({
        method: 'GET',
        path: '/2020-01-01/extension/else',
        fields: new Map(),
        body: Buffer.alloc(0),
      }),
    ).toBeUndefined()
    expect(
      api.handle({ method: 'GET', path: '/2018-06-01/runtime', fields: new Map(), body: Buffer.alloc(0) }),
    ).toBeUndefined()
  })
})
