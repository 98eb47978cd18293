import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { chmod, lstat, mkdir, readdir, readFile, readlink, symlink, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'

import { FlexiError } from '../core/errors.ts'
import { closest } from '../core/suggest.ts'

/** A folder of `templates/` that `flexi new` copies. */
export interface Template {
  /** The folder's name: `lambda-ts`. */
  readonly name: string
  readonly title: string
  readonly description: string
  /** Commands to run before `flexi dev`, in the new folder. */
  readonly next: readonly string[]
  readonly directory: string
}

/** Describes the template and is not copied. */
const ABOUT = 'template.json'

/** Every template of the package, by name: the folders that describe themselves. */
export function readTemplates(root: string): Template[] {
  const folder = join(root, 'templates')
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => existsSync(join(folder, entry.name, ABOUT)))
    .map((entry) => ({
      ...readAbout(join(folder, entry.name)),
      name: entry.name,
      directory: join(folder, entry.name),
    }))
    .toSorted((a, b) => a.name.localeCompare(b.name))
}

function readAbout(directory: string): Pick<Template, 'title' | 'description' | 'next'> {
  const about = JSON.parse(readFileSync(join(directory, ABOUT), 'utf8')) as Partial<Template>
  return { title: about.title ?? '', description: about.description ?? '', next: about.next ?? [] }
}

/** @throws FlexiError FLEXI_USAGE with a suggestion. */
export function findTemplate(templates: readonly Template[], name: string): Template {
  const found = templates.find((template) => template.name === name)
  if (found !== undefined) return found
  const near = closest(
    name,
    templates.map((template) => template.name),
  )
  throw new FlexiError('FLEXI_USAGE', `there is no template "${name}"`, {
    hint: near === undefined ? 'Run "flexi new --list" for the list.' : `Did you mean "${near}"?`,
  })
}

/** Copies a template and writes the project's name into it. Returns the new files, relative to `directory`. */
export async function copyTemplate(template: Template, directory: string, name: string): Promise<string[]> {
  await mkdir(directory, { recursive: true })
  const entries = await readdir(template.directory, { recursive: true, withFileTypes: true })
  const files = entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name))
  const written = files
    .map((file) => relative(template.directory, file))
    .filter((path) => path !== ABOUT && !path.split(/[\\/]/).includes('node_modules'))
    .map(async (path) => {
      const target = join(directory, dotted(path))
      await copyFile(join(template.directory, path), target, name)
      return dotted(path)
    })
  return (await Promise.all(written)).toSorted()
}

/** npm leaves `.gitignore` out of packages, so templates call it `_gitignore`. */
function dotted(path: string): string {
  return path.replace(/(^|[\\/])_(?=[^_\\/])/g, '$1.')
}

async function copyFile(source: string, target: string, name: string): Promise<void> {
  await mkdir(join(target, '..'), { recursive: true })
  const { mode, isLink } = await lstat(source).then((stat) => ({
    mode: stat.mode,
    isLink: stat.isSymbolicLink(),
  }))
  if (isLink) return symlink(await readlink(source), target)
  const bytes = await readFile(source)
  await writeFile(target, isText(bytes) ? bytes.toString('utf8').replaceAll('{{name}}', name) : bytes, {
    flag: 'wx',
  })
  await chmod(target, mode | 0o200)
}

function isText(bytes: Buffer): boolean {
  return !bytes.subarray(0, 8_000).includes(0)
}
