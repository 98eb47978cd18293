import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import type { AbsolutePath } from '../../../src/core/place.ts'
import {
  credentialsFile,
  parseCredentials,
  readCredentials,
  writeCredentials,
} from '../../../src/daemon/client/credentials.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'flexi-credentials-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const CREDENTIALS = {
  current: 'http://localhost:8080',
  daemons: { 'http://localhost:8080': { token: 'secret-token', user: 'ada' } },
}
const never = (): void => expect.unreachable()

describe('the credentials of a user', () => {
  test('are in the settings folder, or where FLEXI_CONFIG_DIR says', () => {
    expect(credentialsFile({ XDG_CONFIG_HOME: '/home/ada/.c' }, 'linux')).toBe(
      '/home/ada/.c/flexi/credentials.json',
    )
    expect(credentialsFile({ FLEXI_CONFIG_DIR: '/c' }, 'linux')).toBe('/c/credentials.json')
  })

  test('are for their user alone, folder and file, and nothing else is left there', async () => {
    const file = join(folder, 'new/flexi/credentials.json') as AbsolutePath
    await writeCredentials(file, CREDENTIALS)
    await writeCredentials(file, CREDENTIALS)
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    expect((await stat(join(file, '..'))).mode & 0o777).toBe(0o700)
    expect(await readdir(join(file, '..'))).toEqual(['credentials.json'])
    expect(await readCredentials(file, never)).toEqual(CREDENTIALS)
  })

  test('that others could read are closed to them, and their user is told', async () => {
    const file = join(folder, 'open.json') as AbsolutePath
    await writeFile(file, JSON.stringify(CREDENTIALS))
    await chmod(file, 0o644)
    let told = 0
    expect(await readCredentials(file, () => told++)).toEqual(CREDENTIALS)
    expect(told).toBe(1)
    expect((await stat(file)).mode & 0o777).toBe(0o600)
  })

  test('of which there are none are none', async () => {
    expect(await readCredentials(join(folder, 'none.json') as AbsolutePath, never)).toEqual({ daemons: {} })
  })

  test('that are no such file are not written over', async () => {
    const file = join(folder, 'other.json') as AbsolutePath
    await writeFile(file, '[1]', { mode: 0o600 })
    await expect(readCredentials(file, never)).rejects.toMatchObject({ code: 'FLEXI_CONFIG' })
    expect(await readFile(file, 'utf8')).toBe('[1]')
  })

  test('that cannot be written are said to be', async () => {
    const file = '/dev/null/flexi/credentials.json' as AbsolutePath
    await expect(writeCredentials(file, CREDENTIALS)).rejects.toMatchObject({ code: 'FLEXI_CONFIG' })
  })

  test('whatever a file holds, it is credentials or nothing', () => {
    fc.assert(
      fc.property(fc.oneof(fc.json(), fc.string()), (text) => {
        const parsed = parseCredentials(text)
        for (const login of Object.values(parsed?.daemons ?? {})) expect(typeof login.token).toBe('string')
      }),
    )
  })
})
