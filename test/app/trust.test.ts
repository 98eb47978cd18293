import { describe, expect, test } from 'vitest'

import { commandLine, runTrustCommands, type Command } from '../../src/app/trust.ts'

const OK: Command = [process.execPath, '-e', '']
const FAILS: Command = [process.execPath, '-e', 'process.exit(3)']
const MISSING: Command = ['flexi-no-such-program']

describe('commands that fill stores', () => {
  test('run in order, each announced before', async () => {
    const announced: string[] = []
    await runTrustCommands([[OK, OK], [OK]], (command) => announced.push(commandLine(command)))
    expect(announced).toEqual([OK, OK, OK].map(commandLine))
  })

  test('one that fails stops its own store alone, and is reported at the end', async () => {
    const announced: Command[] = []
    const running = runTrustCommands([[FAILS, OK], [OK]], (command) => announced.push(command))
    await expect(running).rejects.toMatchObject({
      code: 'FLEXI_TOOL_MISSING',
      message: `${process.execPath} failed (3)`,
    })
    expect(announced).toEqual([FAILS, OK])
  })

  test('all failures are told, a missing program with how to get it', async () => {
    await expect(runTrustCommands([[MISSING], [FAILS]], () => undefined)).rejects.toMatchObject({
      message: expect.stringMatching(/flexi-no-such-program cannot be started: .*ENOENT; .* failed \(3\)/),
      hint: expect.stringContaining('Install flexi-no-such-program'),
    })
  })
})
