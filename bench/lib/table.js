/** `{ columns: ['server', …], rows: [['flexi', …], …] }`; the first column is text, the others are numbers. */
export function textTable({ columns, rows }) {
  const widths = columns.map((title, at) => Math.max(title.length, ...rows.map((row) => row[at].length)))
  const line = (cells) =>
    cells
      .map((cell, at) => pad(cell, widths[at], at > 0))
      .join('  ')
      .trimEnd()
  return [line(columns), line(widths.map((width) => '─'.repeat(width))), ...rows.map(line)].join('\n')
}

export function markdownTable({ columns, rows }) {
  const line = (cells) => `| ${cells.join(' | ')} |`
  const rule = columns.map((_, at) => (at === 0 ? '---' : '---:'))
  return [line(columns), line(rule), ...rows.map(line)].join('\n')
}

/** `17,342`; nothing measured is a dash. */
export function count(value) {
  return value === undefined || !Number.isFinite(value) ? '–' : Math.round(value).toLocaleString('en')
}

/** Milliseconds with as many places as mean something. */
export function milliseconds(value) {
  if (value === undefined) return '–'
  if (value < 1) return value.toFixed(3)
  return value < 100 ? value.toFixed(1) : Math.round(value).toString()
}

export function ratio(value) {
  if (value === undefined || !Number.isFinite(value)) return '–'
  return value < 10 ? value.toFixed(2) : value.toFixed(1)
}

export function percent(value) {
  return value === undefined ? '' : ` ±${Math.round(value * 100)}%`
}

function pad(text, width, toTheRight) {
  return toTheRight ? text.padStart(width) : text.padEnd(width)
}
