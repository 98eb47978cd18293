import picocolors from 'picocolors'

/** Colour functions; each returns its text unchanged where colours are off. */
export type Paint = ReturnType<typeof picocolors.createColors>

/** The colour of a word that stands for itself: a function's name, a status. */
export type Colour = 'cyan' | 'magenta' | 'green' | 'yellow' | 'blue' | 'red' | 'dim'

/** picocolors' own default looks at the whole process; stdout and stderr may differ, so colours are chosen per stream. */
export function paintFor(
  stream: { readonly isTTY?: boolean | undefined },
  environment: Readonly<Record<string, string | undefined>>,
): Paint {
  return picocolors.createColors(wantsColour(stream, environment))
}

export const NO_PAINT: Paint = picocolors.createColors(false)

/** NO_COLOR (no-color.org) wins over FORCE_COLOR, both over the terminal. */
function wantsColour(
  stream: { readonly isTTY?: boolean | undefined },
  environment: Readonly<Record<string, string | undefined>>,
): boolean {
  if ((environment['NO_COLOR'] ?? '') !== '') return false
  const forced = environment['FORCE_COLOR']
  if (forced !== undefined) return forced !== '0' && forced !== 'false'
  return stream.isTTY === true && environment['TERM'] !== 'dumb'
}

const NAME_COLOURS: readonly Colour[] = ['cyan', 'magenta', 'blue', 'green', 'yellow']

/** The same name has the same colour in every line and on every day. */
export function nameColour(name: string): Colour {
  let sum = 0
  for (let index = 0; index < name.length; index++) sum = (sum * 31 + name.charCodeAt(index)) >>> 0
  return NAME_COLOURS[sum % NAME_COLOURS.length] ?? 'cyan'
}
