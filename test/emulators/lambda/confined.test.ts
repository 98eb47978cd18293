import { describe, expect, test } from 'vitest'

import { WITHOUT_BWRAP } from '../../fake-confinement.ts'
import { deploy, ship } from './confined-harness.ts'
import { temporaryFolder } from './harness.ts'

describe.skipIf(WITHOUT_BWRAP !== '')(`a Lambda that is kept apart${WITHOUT_BWRAP}`, () => {
  test('in Node answers, and sees neither the machine’s processes nor its files', async () => {
    await using shipped = await ship(
      {
        'src/app.ts': `import { existsSync, readdirSync } from 'node:fs'
import { greeting } from './greeting'
export const handler = async (event: { name: string }) => {
  console.log('asked')
  return {
    text: greeting + event.name,
    work: existsSync('/work'),
    processes: readdirSync('/proc').filter((name: string) => /^[0-9]+$/.test(name)).length,
  }
}
`,
        'src/greeting.ts': "export const greeting: string = 'hello '\n",
      },
      { options: { handler: 'src/app.ts' } },
    )
    expect(shipped.options).toMatchObject({ handler: 'src/app.handler', built: true })
    await using deployed = await deploy(shipped.directory, { options: shipped.options })
    expect(await deployed.invoke({ name: 'ada' })).toEqual({ text: 'hello ada', work: false, processes: 2 })
    expect(deployed.lines.some(({ text }) => text.includes('asked'))).toBe(true)
    expect(deployed.confinement.launches).toHaveLength(1)
  })

  test('in Node dies with the time it has, and the next invocation finds another', async () => {
    await using shipped = await ship(
      {
        'app.mjs':
          'export const handler = async ({ hang }) => hang ? new Promise(() => setInterval(() => 0, 1e3)) : process.pid\n',
      },
      { options: { handler: 'app.handler' } },
    )
    await using deployed = await deploy(shipped.directory, { options: shipped.options, timeoutMs: 300 })
    expect(await deployed.invoke({ hang: true })).toMatchObject({ errorType: 'Sandbox.Timedout' })
    expect(await deployed.invoke({})).toBe(2)
  })

  test('in Node that kills itself is told by its signal, not by what confines it', async () => {
    await using shipped = await ship(
      {
        'app.mjs':
          "export const handler = async () => { process.kill(process.pid, 'SIGSEGV'); await new Promise((r) => setTimeout(r, 1000)) }\n",
      },
      { options: { handler: 'app.handler' } },
    )
    await using deployed = await deploy(shipped.directory, { options: shipped.options })
    expect(JSON.stringify(await deployed.invoke())).toContain('segmentation fault')
  })
})

test('A Lambda that is kept apart is refused what leads out of its folder, because we open it with our rights', async () => {
  const directory = await temporaryFolder({ 'app.mjs': 'export const handler = async () => 1\n' })
  const config = (options: object): { options: Record<string, unknown> } => ({
    options: { handler: 'app.handler', ...options },
  })
  for (const options of [
    { layers: ['../../etc'] },
    { layers: ['/etc'] },
    { archive: '/etc/x.zip' },
    { esbuild: {} },
    { entry: 'app.mjs' },
  ])
    await expect(deploy(directory, config(options))).rejects.toMatchObject({ code: 'FLEXI_CONFIG' })
})
