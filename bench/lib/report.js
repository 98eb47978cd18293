import { markdownTable, textTable } from './table.js'

/** One scenario's table and notes, for a terminal. */
export function textReport(result) {
  const notes = result.notes.map((note) => `  · ${indent(note)}`)
  return [
    `\n${result.title}\n`,
    result.rows.length > 0 ? textTable(result) : '  nothing was measured',
    ...notes,
  ].join('\n')
}

/** The whole run as a section of Markdown. */
export function markdownReport(machineText, results) {
  const sections = results.map((result) => {
    const notes = result.notes.map((note) => `- ${indent(note)}`)
    return [`### ${result.title}`, '', markdownTable(result), '', ...notes].join('\n')
  })
  return `${[machineText, ...sections].join('\n\n')}\n`
}

function indent(note) {
  return note.replaceAll('\n', '\n    ')
}
