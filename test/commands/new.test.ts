import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { copyTemplate, readTemplates } from '../../src/commands/templates.ts'
import { cli, ROOT } from './cli.ts'

const templates = readTemplates(ROOT)

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'flexi-new-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

describe('every template', () => {
  test('is listed', async () => {
    const { stdout } = await cli(['new', '--list', '--json'])
    expect((JSON.parse(stdout) as { name: string }[]).map(({ name }) => name)).toEqual(
      templates.map(({ name }) => name),
    )
    for (const { title, description, next } of templates) {
      expect(title).not.toBe('')
      expect(description).not.toBe('')
      expect(next.every((step) => typeof step === 'string')).toBe(true)
    }
  })

  test.for(templates.map(({ name }) => name))('%s is copied whole, under its new name', async (template) => {
    const made = await cli(['new', '--template', template, '--yes', 'my-thing'], { cwd: folder })
    expect(made).toMatchObject({ exit: 0, stderr: '' })
    expect(made.stdout).toContain('npx flexi dev')
    const files = await readdir(join(folder, 'my-thing'), { recursive: true })
    expect(files).toContain('README.md')
    expect(files).not.toContain('template.json')
    const texts = await Promise.all(files.map((file) => textOf(join(folder, 'my-thing', file))))
    expect(texts.join('\n')).not.toContain('{{name}}')
    expect(await textOf(join(folder, 'my-thing/README.md'))).toContain('my-thing')
  })
})

describe('copying', () => {
  test('writes dotfiles, keeps modes and bytes, and leaves out what describes the template', async () => {
    const source = join(folder, 'source')
    await mkdir(join(source, 'a/__tests__'), { recursive: true })
    await writeFile(join(source, 'template.json'), '{}')
    await writeFile(join(source, '_gitignore'), '{{name}}/\n')
    await writeFile(join(source, 'a/_env'), 'NAME={{name}} {{name}}\n')
    await writeFile(join(source, 'a/__tests__/x.js'), '')
    await writeFile(join(source, 'run.sh'), '#!/bin/sh\n', { mode: 0o755 })
    await writeFile(
      join(source, 'picture.bin'),
      Buffer.concat([Buffer.from('{{name}}'), Buffer.from([0, 255])]),
    )
    const template = { name: 't', title: '', description: '', next: [], directory: source }
    const target = join(folder, 'target')
    const files = await copyTemplate(template, target, 'thing')
    expect(files).toEqual(['.gitignore', 'a/.env', 'a/__tests__/x.js', 'picture.bin', 'run.sh'])
    expect(await textOf(join(target, '.gitignore'))).toBe('thing/\n')
    expect(await textOf(join(target, 'a/.env'))).toBe('NAME=thing thing\n')
    expect((await readFile(join(target, 'picture.bin'))).includes('{{name}}')).toBe(true)
    expect((await stat(join(target, 'run.sh'))).mode & 0o777).toBe(0o755)
  })
})

describe('what it refuses', () => {
  test('a folder that holds something, and leaves it alone', async () => {
    await mkdir(join(folder, 'full'))
    await writeFile(join(folder, 'full/mine.txt'), 'mine')
    const result = await cli(['new', '--template', 'proxy', '--yes', 'full'], { cwd: folder })
    expect(result).toMatchObject({ exit: 2, stdout: '' })
    expect(result.stderr).toContain('the folder full is not empty')
    expect(await readdir(join(folder, 'full'))).toEqual(['mine.txt'])
  })

  test.for(['a b', '../..', 'ünï', '_x', 'x'.repeat(64)])(
    'the name %j, because it is part of a host name',
    async (name) => {
      const result = await cli(['new', '--template', 'proxy', '--yes', '--', name], { cwd: folder })
      expect(result).toMatchObject({ exit: 2, stdout: '' })
      expect(await readdir(folder)).toEqual([])
    },
  )

  test('to guess a template without a terminal', async () => {
    const result = await cli(['new', 'x'], { cwd: folder })
    expect(result).toMatchObject({ exit: 2, stdout: '' })
    expect(result.stderr).toContain('Add --template lambda-ts')
    expect(existsSync(join(folder, 'x'))).toBe(false)
  })
})

describe('where it writes', () => {
  test('"." is the folder one is in, when nothing but .git is there', async () => {
    await mkdir(join(folder, 'here/.git'), { recursive: true })
    const made = await cli(['new', '--template', 'proxy', '--yes', '--json', '.'], {
      cwd: join(folder, 'here'),
    })
    expect(JSON.parse(made.stdout)).toMatchObject({
      name: 'here',
      template: 'proxy',
      directory: join(folder, 'here'),
    })
    expect(await readdir(join(folder, 'here'))).toContain('proxy.ini')
  })

  test('a path is made, and its last part is the name', async () => {
    const made = await cli(['new', '--template', 'proxy', '--yes', 'apps/edge'], { cwd: folder })
    expect(made.stdout).toContain('cd apps/edge')
    expect(await textOf(join(folder, 'apps/edge/README.md'))).toContain('# edge')
  })
})

async function textOf(file: string): Promise<string> {
  return (await stat(file)).isFile() ? readFile(file, 'utf8') : ''
}
