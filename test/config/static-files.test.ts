import { expect, test } from 'vitest'

import { readProject } from '../../src/config/project.ts'
import { emulators, folder } from './fakes.ts'

async function warnings(settings: object, to = './public/'): Promise<readonly string[]> {
  const routes = [{ path: '/', to, static: settings }]
  const directory = await folder({ 'flexi.jsonc': JSON.stringify({ routes }), 'public/app/here.html': '' })
  const { faults } = await readProject({ directory, emulators, environment: {} })
  return faults.map(({ message, severity }) => `${severity}: ${message}`)
}

const missing = (name: string): string => `warning: there is no file "${name}" in the folder`

test('a file that static names and that is not there is a warning', async () => {
  expect(await warnings({ index: 'app.html', fallback: 'app/gone.html' })).toEqual([
    missing('app.html'),
    missing('app/gone.html'),
  ])
})

test('one that is there, and the default, are not', async () => {
  expect(await warnings({ fallback: 'app/here.html' })).toEqual([])
  expect(await warnings({ index: false })).toEqual([])
})

test('a folder that is not there is one warning', async () => {
  expect(await warnings({ fallback: 'a.html' }, './dist/')).toEqual([
    'warning: there is no folder "./dist/" yet',
  ])
})
