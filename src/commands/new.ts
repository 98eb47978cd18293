import { readdirSync, statSync } from 'node:fs'
import { basename, relative, resolve } from 'node:path'

import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'

import { FlexiError } from '../core/errors.ts'
import { paintFor } from '../terminal/paint.ts'
import { table } from '../terminal/table.ts'
import { FlexiCommand } from './flexi-command.ts'
import { copyTemplate, findTemplate, readTemplates, type Template } from './templates.ts'

const DEFAULT_TEMPLATE = 'lambda-ts'
const DEFAULT_NAME = 'my-app'

interface NewProject {
  readonly name: string
  readonly template: string
  readonly directory: string
  readonly files: readonly string[]
  /** Commands that start it, in order. */
  readonly next: readonly string[]
}

interface Wish {
  readonly name: string | undefined
  readonly template: string | undefined
  readonly yes: boolean
}

export default class New extends FlexiCommand {
  static override readonly summary = 'Make a new project from a template.'
  static override readonly description = `Asks for what is missing when run on a terminal; --yes asks nothing and takes "${DEFAULT_NAME}" and "${DEFAULT_TEMPLATE}" for it. Nothing is downloaded. The folder must be new or empty; "." is the folder you are in.`
  static override readonly examples = [
    { description: 'Be asked', command: '<%= config.bin %> <%= command.id %>' },
    {
      description: 'Ask nothing',
      command: '<%= config.bin %> <%= command.id %> --template workers-ts --yes my-api',
    },
    { description: 'See what there is', command: '<%= config.bin %> <%= command.id %> --list' },
  ]
  static override readonly args = {
    name: Args.string({ ignoreStdin: true, description: 'name of the project, and of its folder' }),
  }
  static override readonly flags = {
    template: Flags.string({
      char: 't',
      helpValue: 'TEMPLATE',
      summary: 'What to start from. --list names them.',
    }),
    yes: Flags.boolean({ char: 'y', summary: 'Ask nothing.' }),
    list: Flags.boolean({ char: 'l', summary: 'List the templates and make nothing.' }),
  }

  async run(): Promise<NewProject | readonly Omit<Template, 'directory'>[]> {
    const { args, flags } = await this.parse(New)
    const templates = readTemplates(this.config.root)
    if (flags.list) return this.#list(templates)
    const { path, template } = await this.#choose(templates, { ...flags, name: args.name })
    const { directory, name } = requirePlace(path)
    const files = await copyTemplate(template, directory, name)
    const steps = nextSteps(template, directory)
    this.print(doneLines({ name, template: template.title, files, next: steps }))
    return { name, template: template.name, directory, files, next: steps }
  }

  async #choose(templates: readonly Template[], wish: Wish): Promise<{ path: string; template: Template }> {
    // What was given is checked before anything is asked.
    const given = wish.template === undefined ? undefined : findTemplate(templates, wish.template)
    if (wish.name !== undefined) requirePlace(wish.name)
    if (!wish.yes && !this.jsonEnabled() && canAsk()) {
      const path = wish.name ?? (await askName())
      return { path, template: given ?? (await askTemplate(templates)) }
    }
    return { path: wish.name ?? DEFAULT_NAME, template: given ?? defaultTemplate(templates, wish.yes) }
  }

  #list(templates: readonly Template[]): readonly Omit<Template, 'directory'>[] {
    const paint = paintFor(process.stdout, process.env)
    const rows = templates.map((template) => [template.name, template.title, template.description])
    this.print(
      table(['TEMPLATE', 'TITLE', 'WHAT IT HOLDS'], rows, { paint, indent: 0, columns: [paint.cyan] }),
    )
    return templates.map(({ name, title, description, next }) => ({ name, title, description, next }))
  }
}

function canAsk(): boolean {
  return process.stdin.isTTY && process.stdout.isTTY
}

/** Without a terminal and without --yes a template of our choice would be a guess. */
function defaultTemplate(templates: readonly Template[], yes: boolean): Template {
  if (yes) return findTemplate(templates, DEFAULT_TEMPLATE)
  throw new FlexiError('FLEXI_USAGE', 'no template was named, and there is no terminal to ask on', {
    hint: `Add --template ${DEFAULT_TEMPLATE}, or --yes for the default.`,
  })
}

/** Core's rule for names of functions, which are host labels too. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/

/** @throws FlexiError FLEXI_USAGE for a name that cannot be one, or a folder that holds something. */
function requirePlace(path: string): { directory: string; name: string } {
  const directory = resolve(path)
  const name = basename(directory)
  const problem = nameProblem(name)
  if (problem !== undefined) throw problem
  const found = statSync(directory, { throwIfNoEntry: false })
  if (found === undefined) return { directory, name }
  if (!found.isDirectory())
    throw new FlexiError('FLEXI_USAGE', `${path} is a file`, { hint: 'Choose another name.' })
  if (readdirSync(directory).every((entry) => entry === '.git')) return { directory, name }
  throw new FlexiError('FLEXI_USAGE', `the folder ${path} is not empty`, {
    hint: 'Choose another name, or empty the folder.',
  })
}

function nameProblem(name: string): FlexiError | undefined {
  if (NAME.test(name)) return undefined
  const better = name
    .replace(/[^A-Za-z0-9_-]+/g, '-')
    .replace(/^[-_]+|[-_]+$/g, '')
    .slice(0, 63)
  return new FlexiError(
    'FLEXI_USAGE',
    `"${name}" cannot be the name of a project: it is part of a host name`,
    {
      hint:
        better === ''
          ? 'Use letters, digits, "-" and "_".'
          : `Use letters, digits, "-" and "_": "${better}".`,
    },
  )
}

async function askName(): Promise<string> {
  const { default: inquirer } = await import('inquirer')
  const { name } = await inquirer.prompt<{ name: string }>([
    {
      type: 'input',
      name: 'name',
      message: 'Name of the project',
      default: DEFAULT_NAME,
      validate: placeOrReason,
    },
  ])
  return name
}

function placeOrReason(path: string): true | string {
  try {
    requirePlace(path)
    return true
  } catch (error) {
    if (!(error instanceof FlexiError)) throw error
    return `${error.message}. ${error.hint ?? ''}`
  }
}

async function askTemplate(templates: readonly Template[]): Promise<Template> {
  const { default: inquirer } = await import('inquirer')
  const choices = templates.map((template) => ({
    name: template.title,
    value: template.name,
    description: template.description,
  }))
  const { template } = await inquirer.prompt<{ template: string }>([
    {
      type: 'select',
      name: 'template',
      message: 'Template',
      choices,
      default: DEFAULT_TEMPLATE,
      pageSize: choices.length,
    },
  ])
  return findTemplate(templates, template)
}

function nextSteps(template: Template, directory: string): string[] {
  const path = relative('', directory)
  return [...(path === '' ? [] : [`cd ${path}`]), ...template.next, 'npx flexi dev']
}

function doneLines(made: {
  name: string
  template: string
  files: readonly string[]
  next: readonly string[]
}): string[] {
  const paint = paintFor(process.stdout, process.env)
  return [
    `${paint.green('✔')} ${paint.bold(made.name)}  ${paint.dim(made.template)}`,
    ...made.files.map((file) => `  ${paint.dim(file)}`),
    '',
    'Next:',
    ...made.next.map((step) => `  ${paint.cyan(step)}`),
  ]
}
