import { test } from 'vitest'
import { openFunction, openPlace, shell } from './sandbox-scope.ts'
test('x', async () => {
  const c = await openFunction(await openPlace(), { network: 'egress' })
  for (let i = 0; i < 400; i++) {
  const t = performance.now()
  const r = await shell(c, 'echo hi; echo err >&2; exit 9')
  if (r.exit.code !== 9) console.log(i, r, performance.now() - t)
  }
}, 60000)
