import type { Answer, Cloud } from './cloud.ts'

/** One recording: the function it was made with, and what was asked of it. */
export interface RecordedCase {
  /** Returns what the recording has, under the same names. `name` is free for a function. */
  run(cloud: Cloud, name: string): Promise<Answer>
  /** Where it is another answer, by path (`*.PATH`), and why. Each of them has to differ. */
  readonly differs?: Readonly<Record<string, string>> | undefined
  /** Where it may be another answer, from run to run or from machine to machine, and why. */
  readonly varies?: Readonly<Record<string, string>> | undefined
  /** Programs that it cannot be run without. */
  readonly needs?: readonly Program[] | undefined
}

export type Program = 'python3' | 'ruby' | 'curl'

/** By the end of the test's id: `TestLambdaErrors::test_lambda_handler_exit`. */
export type RecordedCases = Readonly<Record<string, RecordedCase>>

export const PYTHON = ['python3'] as const

/** The same case for several runtimes: `test_echo[nodejs20.x]`. */
export function forEach<Variant extends string>(
  test: string,
  variants: readonly Variant[],
  made: (variant: Variant) => RecordedCase,
): RecordedCases {
  return Object.fromEntries(variants.map((variant) => [`${test}[${variant}]`, made(variant)]))
}

/** The cloud counts a revision for itself when a function has become active; here only what people change counts. */
export const REVISIONS = 'a function that has become active is no other revision'

/** An older recording: what newer ones have of the same call, and flexi too. */
export const OLDER = 'an older recording; newer ones have it'
