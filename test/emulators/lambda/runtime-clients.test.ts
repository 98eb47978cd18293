import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, expect, test } from 'vitest'

import { runsWith, tool } from './client-conformance.ts'
import { prepareFunction } from './harness.ts'

const CURL = `#!/bin/bash
set -u
base="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime"
while true; do
  headers=$(mktemp)
  event=$(curl -sS -D "$headers" "$base/invocation/next")
  id=$(grep -Fi Lambda-Runtime-Aws-Request-Id "$headers" | tr -d '[:space:]' | cut -d: -f2)
  rm "$headers"
  case "$event" in
    *'"fail"'*) curl -sS -o /dev/null "$base/invocation/$id/error" -d '{"errorMessage":"told","errorType":"Shell"}' ;;
    *'"crash"'*) exit 3 ;;
    *'"big"'*)
      bytes=$(echo "$event" | sed 's/.*"bytes":\\([0-9]*\\).*/\\1/')
      { printf '"'; head -c "$bytes" /dev/zero | tr '\\0' x; printf '"'; } | curl -sS -o /dev/null "$base/invocation/$id/response" --data-binary @- ;;
    *'"slow"'*)
      curl -sS -o /dev/null "$base/invocation/$id/response" -d '"soon"'
      sleep 0.3
      echo "after the answer" ;;
    *) curl -sS -o /dev/null "$base/invocation/$id/response" -d "$event" ;;
  esac
done
`

const folder = await mkdtemp(join(tmpdir(), 'flexi-curl-'))
await writeFile(join(folder, 'bootstrap'), CURL)
const missing = tool('curl', ['--version'], folder) ?? tool('bash', ['--version'], folder)

runsWith(
  'bash and curl',
  { folder, missing },
  {
    config: { handler: 'bootstrap', options: { runtime: 'provided.al2023' } },
    failure: { errorMessage: 'told', errorType: 'Shell' },
    crash: { errorType: 'Runtime.ExitError', errorMessage: expect.stringContaining('exit status 3') },
  },
)

test.skipIf(missing !== undefined)(
  'an invocation ends in the log when its runtime asks for the next; its caller has the answer before',
  async () => {
    const config = { handler: 'bootstrap', options: { runtime: 'provided.al2023' }, timeoutMs: 5_000 }
    await using opened = await prepareFunction({ bootstrap: CURL }, config)
    await chmod(join(opened.directory, 'bootstrap'), 0o755)
    await opened.build()
    const answers: string[] = []
    const invoke = async (event: object, unlogged: boolean): Promise<string> => {
      const context = {
        id: crypto.randomUUID(),
        deadline: Date.now() + 60_000,
        signal: new AbortController().signal,
        unlogged,
      }
      const { payload, log } = await opened.pool.invoke(Buffer.from(JSON.stringify(event)), context)
      answers.push(`answered ${Buffer.from(payload).toString()}`)
      return log
    }
    await invoke({ case: 'slow' }, true)
    const printed = (): string[] => opened.lines.map(({ text }) => text.split(' ').slice(0, 3).join(' '))
    expect(printed().some((line) => line.startsWith('END'))).toBe(false)
    await expect.poll(() => printed().findIndex((line) => line.startsWith('REPORT'))).toBeGreaterThan(0)
    const lines = printed().map((line) => line.split(' ')[0])
    expect(lines.slice(-4)).toEqual(['START', 'after', 'END', 'REPORT'])
    const log = await invoke({ case: 'slow' }, false)
    expect(log).toMatch(/^START .*\nafter the answer\nEND .*\nREPORT .*\n$/)
    const [, duration] = /\tDuration: ([\d.]+) ms/.exec(log) ?? []
    expect(Number(duration)).toBeGreaterThan(290)
    expect(answers).toEqual(['answered "soon"', 'answered "soon"'])
  },
)

test.skipIf(missing !== undefined)(
  'what a runtime does after its answer counts to its time limit',
  async () => {
    const config = { handler: 'bootstrap', options: { runtime: 'provided.al2023' }, timeoutMs: 150 }
    await using opened = await prepareFunction({ bootstrap: CURL }, config)
    await chmod(join(opened.directory, 'bootstrap'), 0o755)
    await opened.build()
    const { value, log } = await opened.invoke({ case: 'slow' })
    expect(value).toBe('soon')
    expect(log).toContain('Task timed out after 0.15 seconds')
    expect(log).toContain('Status: timeout')
    expect((await opened.invoke({ case: 'echo' })).value).toEqual({ case: 'echo' })
  },
)

afterAll(() => rm(folder, { recursive: true, force: true }))
