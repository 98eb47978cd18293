import type { Paint } from './paint.ts'
import { printable } from './printable.ts'

export interface TableOptions {
  readonly paint: Paint
  readonly indent?: number
  /** How the cells of a column look; called after the cell is padded. */
  readonly columns?: readonly (((text: string) => string) | undefined)[]
}

/** Left-aligned columns under a dim heading; the last one is not padded. One line a row, without line ends. */
export function table(
  heading: readonly string[],
  rows: readonly (readonly string[])[],
  options: TableOptions,
): string[] {
  const cells = [heading, ...rows.map((row) => row.map(printable))]
  const widths = heading.map((_, column) => Math.max(...cells.map((row) => (row[column] ?? '').length)))
  const last = heading.length - 1
  const indent = ' '.repeat(options.indent ?? 2)
  return cells.map((row, index) => {
    const texts = row.map((cell, column) => {
      const padded = column === last ? cell : cell.padEnd(widths[column] ?? 0)
      if (index === 0) return options.paint.dim(padded)
      return options.columns?.[column]?.(padded) ?? padded
    })
    return `${indent}${texts.join('   ')}`
  })
}
