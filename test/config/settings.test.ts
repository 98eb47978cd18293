import { availableParallelism } from 'node:os'

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { parseEnvFile } from '../../src/config/env-file.ts'
import { readServerSettings, type ReadServerSettingsOptions } from '../../src/config/settings.ts'

const read = (options: Partial<ReadServerSettingsOptions> = {}) =>
  readServerSettings({ flags: {}, environment: {}, project: {}, ...options })

describe('readServerSettings', () => {
  test("has FlexiLib's defaults, and listens on this machine only", () => {
    expect(read()).toEqual({
      port: 8069,
      portIsDefault: true,
      host: '127.0.0.1',
      threads: availableParallelism(),
      responsePreallocationKb: 8,
    })
    expect(read({ defaultHost: '0.0.0.0' }).host).toBe('0.0.0.0')
  })

  test("honours FlexiLib's variables", () => {
    const environment = { PORT: '8000', SERVER_THREAD_COUNT: '3', RESPONSE_PREALLOCATION_KB: '0' }
    expect(read({ environment })).toMatchObject({ port: 8000, threads: 3, responsePreallocationKb: 0 })
  })

  test('takes flags before FLEXI_ variables before plain ones before flexi.jsonc', () => {
    const project = { port: 1, host: 'a' }
    const plain = { PORT: '2', HOST: 'b', SERVER_THREAD_COUNT: '2' }
    const own = { ...plain, FLEXI_PORT: '3', FLEXI_HOST: 'c', FLEXI_THREADS: '3' }
    const flags = { port: 4, host: 'd', threads: 4 }
    expect(read({ project })).toMatchObject({ port: 1, host: 'a' })
    expect(read({ project, environment: plain })).toMatchObject({ port: 2, host: 'b', threads: 2 })
    expect(read({ project, environment: own })).toMatchObject({ port: 3, host: 'c', threads: 3 })
    expect(read({ project, environment: own, flags })).toMatchObject({ port: 4, host: 'd', threads: 4 })
  })

  test.each([
    ['a flag', { flags: { port: 8069 } }],
    ['FLEXI_PORT', { environment: { FLEXI_PORT: '8069' } }],
    ['PORT', { environment: { PORT: '8069' } }],
    ['flexi.jsonc', { project: { port: 8069 } }],
  ])('knows that %s has named the port', (_name, options) => {
    expect(read(options).portIsDefault).toBe(false)
    expect(read({ environment: { PORT: '' } }).portIsDefault).toBe(true)
  })

  test('takes an empty variable as not set', () => {
    expect(read({ environment: { PORT: '', HOST: '' }, project: { port: 5, host: 'e' } })).toMatchObject({
      port: 5,
      host: 'e',
    })
  })

  test('takes port 0, which is any free one', () => {
    expect(read({ flags: { port: 0 }, environment: { PORT: '80' } }).port).toBe(0)
  })

  test.each(['abc', '-1', '65536', '80.5', '0x50', ' 80', '1e3', '١'])('refuses PORT=%s', (PORT) => {
    expect(() => read({ environment: { PORT } })).toThrow(
      `PORT is ${JSON.stringify(PORT)}; it must be a whole number from 0 to 65535`,
    )
  })

  test('names every number that is none, with its range, and exits 78', () => {
    const environment = { PORT: 'abc', SERVER_THREAD_COUNT: '0', RESPONSE_PREALLOCATION_KB: '-1' }
    const attempt = () => read({ environment, flags: { port: 70_000 } })
    expect(attempt).toThrow(expect.objectContaining({ code: 'FLEXI_CONFIG', oclif: { exit: 78 } }))
    expect(attempt).toThrow(
      '--port is 70000; it must be a whole number from 0 to 65535\n' +
        'SERVER_THREAD_COUNT is "0"; it must be a whole number from 1 to 1024\n' +
        'RESPONSE_PREALLOCATION_KB is "-1"; it must be a whole number from 0 to 1048576',
    )
  })
})

describe('parseEnvFile', () => {
  test('reads comments, quotes, export and values of several lines', () => {
    const text = `# comment\nA=1\nexport B="two words" # why\nC='single # kept'\nD="one\ntwo"\nE=\r\nF= x \n`
    expect(parseEnvFile(text)).toEqual({
      A: '1',
      B: 'two words',
      C: 'single # kept',
      D: 'one\ntwo',
      E: '',
      F: 'x',
    })
  })

  test('passes over lines that assign nothing, whatever they hold', () => {
    expect(parseEnvFile('no assignment\nA=1\nmore\n====\n')).toEqual({ A: '1' })
    fc.assert(
      fc.property(fc.string(), (text) => {
        for (const name of Object.keys(parseEnvFile(text))) expect(name).toMatch(/^[^\s=]+$/)
      }),
    )
  })
})
