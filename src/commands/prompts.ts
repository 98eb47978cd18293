import { FlexiError } from '../core/errors.ts'

/** Questions stand on stderr: standard output may be somebody's file. */
export function canAsk(): boolean {
  return process.stdin.isTTY && process.stderr.isTTY
}

/** What is typed is not shown. */
export async function askSecret(message: string): Promise<string> {
  const prompt = await promptOnStderr()
  const { secret } = await prompt<{ secret: string }>([
    { type: 'password', name: 'secret', message, mask: true },
  ])
  return secret
}

/** Asks before something is gone. @throws FlexiError FLEXI_USAGE where there is nobody to ask, ExitError when the answer is no. */
export async function confirm(question: string, yes: boolean): Promise<void> {
  if (yes) return
  if (!canAsk())
    throw new FlexiError('FLEXI_USAGE', `this takes a yes, and there is no terminal to ask on: ${question}`, {
      hint: 'Add --yes if you mean it.',
    })
  const prompt = await promptOnStderr()
  const { sure } = await prompt<{ sure: boolean }>([
    { type: 'confirm', name: 'sure', message: question, default: false },
  ])
  if (sure) return
  const { ExitError } = await import('@oclif/core/errors')
  throw new ExitError(1)
}

async function promptOnStderr() {
  const { default: inquirer } = await import('inquirer')
  return inquirer.createPromptModule({ output: process.stderr })
}
