/**
 * What came from outside may hold bytes that a terminal obeys: escape sequences that retitle the window or hide lines
 * (C0, DEL, and C1, which some terminals read as CSI), and marks that reverse the direction of text.
 */
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g // oxlint-disable-line no-control-regex

/** Control characters become visible: ESC is shown as `\x1b`. */
export function printable(text: string): string {
  return text.replace(CONTROL, visible)
}

const COLOUR_OR_CONTROL = new RegExp(String.raw`(\u001b\[[0-9;:]*m)|${CONTROL.source}`, 'g')

/** A line a function printed: tabs stay, its own colours stay where the terminal shows colours, all else is made visible. */
export function printableOutput(line: string, colours: boolean): string {
  let coloured = false
  const text = line.replace(COLOUR_OR_CONTROL, (match: string, colour: string | undefined) => {
    if (colour === undefined) return match === '\t' ? match : visible(match)
    coloured = colours
    return colours ? colour : ''
  })
  return coloured ? `${text}\u001b[0m` : text
}

function visible(character: string): string {
  const code = character.charCodeAt(0)
  return code < 256 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`
}
