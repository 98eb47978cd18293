import type { AuditRecord } from '../model.ts'
import type { AuditTable, Store } from '../store.ts'
import type { Driver } from './driver.ts'
import { auditOf, number, text } from './rows.ts'
import type { Sealing } from './sealing.ts'

const PAGE = 1000

/**
 * Each line is marked, under the key, together with the mark of the line before; and the last one a second time, as the last. So whoever
 * writes into the file without the key changes nothing, takes nothing out and cuts nothing off unseen.
 */
export function auditTable(driver: Driver, sealing: Sealing, transaction: Store['transaction']): AuditTable {
  return {
    add: (record) =>
      transaction(() => {
        const last = driver.get('SELECT id, hash FROM audit ORDER BY id DESC LIMIT 1')
        const id = last === undefined ? 1 : number(last, 'id') + 1
        const mark = markOf(sealing, last === undefined ? '' : text(last, 'hash'), { ...record, id })
        driver.run(
          `INSERT INTO audit (id, at, user, token, source, action, object, outcome, detail, hash)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
          [
            id,
            record.at,
            record.user,
            record.token,
            record.from,
            record.action,
            record.object,
            record.outcome,
            JSON.stringify(record.detail),
            mark,
          ],
        )
        driver.run(
          `INSERT INTO internal (name, value) VALUES ('audit end', ?)
           ON CONFLICT DO UPDATE SET value = excluded.value`,
          [endMark(sealing, id, mark)],
        )
      }),
    recent: ({ limit, since, user, object }) =>
      driver
        .all(
          `SELECT * FROM audit WHERE (?1 IS NULL OR at >= ?1) AND (?2 IS NULL OR user = ?2)
             AND (?3 IS NULL OR object = ?3) ORDER BY id DESC LIMIT ?4`,
          [since ?? null, user ?? null, object ?? null, limit],
        )
        .map(auditOf),
    verify: () => verify(driver, sealing),
  }
}

function verify(driver: Driver, sealing: Sealing): ReturnType<AuditTable['verify']> {
  let last = { id: 0, hash: '' }
  for (;;) {
    const rows = driver.all('SELECT * FROM audit WHERE id > ? ORDER BY id LIMIT ?', [last.id, PAGE])
    for (const row of rows) {
      const expected = last.id + 1
      const hash = text(row, 'hash')
      if (number(row, 'id') !== expected || markOf(sealing, last.hash, auditOf(row)) !== hash)
        return { intact: false, from: expected }
      last = { id: expected, hash }
    }
    if (rows.length < PAGE) break
  }
  const end = driver.get("SELECT value FROM internal WHERE name = 'audit end'")
  const expectedEnd = last.id === 0 ? undefined : endMark(sealing, last.id, last.hash)
  return (end === undefined ? undefined : text(end, 'value')) === expectedEnd
    ? { intact: true }
    : { intact: false, from: last.id + 1 }
}

function markOf(sealing: Sealing, before: string, record: AuditRecord): string {
  const { id, at, user, token, from, action, object, outcome, detail } = record
  // As it is read again: undefined and dates do not survive the way through JSON.
  const written: unknown = JSON.parse(JSON.stringify(detail))
  return sealing.mark(JSON.stringify([before, id, at, user, token, from, action, object, outcome, written]))
}

function endMark(sealing: Sealing, id: number, hash: string): string {
  return sealing.mark(`end ${id} ${hash}`)
}
