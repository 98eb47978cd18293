import { execFile, execFileSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { afterAll, describe, expect, test } from 'vitest'

import type { Fetcher } from '../../src/core/fetcher.ts'
import { createLogger, type LogRecord } from '../../src/core/log.ts'
import { openAccounts } from '../../src/daemon/accounts/open-accounts.ts'
import { openApi } from '../../src/daemon/api/open-api.ts'
import type { Caller } from '../../src/daemon/model.ts'
import { openGateway, type Gateway } from '../../src/gateway/gateway.ts'
import { openTestControl, partOf, deploy, type TestControl } from './control-harness.ts'

/** Of one run of the fuzzer. */
const FUZZ_MS = 150_000

const run = promisify(execFile)

/** The fuzzer, as it was when these checks passed. */
const SCHEMATHESIS = 'schemathesis==4.32.5'

const directory = await mkdtemp(join(tmpdir(), 'flexi-fuzz-'))
const program = await fuzzer()

afterAll(removeDirectory)
// Nothing runs after tests of which all are skipped.
if ('lacking' in program) await removeDirectory()

async function removeDirectory(): Promise<void> {
  await rm(directory, { recursive: true, force: true })
}

/** The program, or why there is none. FLEXI_SCHEMATHESIS names one; "none" does without. */
async function fuzzer(): Promise<{ readonly path: string } | { readonly lacking: string }> {
  const named = process.env['FLEXI_SCHEMATHESIS']
  if (named === 'none') return { lacking: 'FLEXI_SCHEMATHESIS says so' }
  if (named !== undefined) return { path: named }
  try {
    execFileSync('python3', ['-c', 'import sys, venv, ensurepip; assert sys.version_info >= (3, 10)'], {
      stdio: 'ignore',
    })
    await run('python3', ['-m', 'venv', join(directory, 'venv')], { timeout: 60_000 })
    const pip = ['install', '--quiet', '--disable-pip-version-check', '--retries', '0', SCHEMATHESIS]
    await run(join(directory, 'venv/bin/pip'), pip, { timeout: 90_000 })
    return { path: join(directory, 'venv/bin/st') }
  } catch {
    return {
      lacking: 'schemathesis cannot be installed: it takes python3 3.10 with venv, and a package index',
    }
  }
}

interface Subject extends AsyncDisposable {
  readonly url: string
  readonly control: TestControl
  readonly rootToken: string
  readonly log: LogRecord[]
}

/** The API over a control plane, a store and artifacts that are real; what runs functions is not. */
async function openSubject(): Promise<Subject> {
  const control = await openTestControl()
  const accounts = openAccounts({ store: control.store, key: Buffer.alloc(32, 7) })
  const log: LogRecord[] = []
  let gateway: Gateway | undefined
  const api = openApi({
    control: control.control,
    accounts,
    url: () => gateway?.url ?? '',
    version: '0.0.0',
    log: createLogger((record) => log.push(record)),
    // Who would follow a log is let go at once.
    closing: AbortSignal.abort(),
  })
  gateway = await openGateway({
    host: '127.0.0.1',
    port: 0,
    mode: 'serve',
    controlPrefix: false,
    table: { routes: [], functions: new Map<string, Fetcher>() },
    hosts: () => api,
    log: createLogger((record) => log.push(record)),
    onAccess: () => undefined,
    drainMs: 1_000,
  })
  const rootToken = accounts.firstRootToken() ?? ''
  await seed(control, accounts.operator())
  accounts.addUser(accounts.operator(), 'ada', ['permission:write'])
  const opened = gateway
  return {
    url: gateway.url,
    control,
    rootToken,
    log,
    async [Symbol.asyncDispose]() {
      await opened[Symbol.asyncDispose]()
      await control[Symbol.asyncDispose]()
    },
  }
}

/** What the examples of the document name is there. */
async function seed(control: TestControl, caller: Caller): Promise<void> {
  const artifact = await control.artifact()
  await deploy(control, [{ ...partOf('hello', artifact), version: 'v3' }], { caller })
}

const title =
  'path' in program
    ? 'no request gets an answer that the document does not have'
    : `skipped: ${program.lacking}`

describe('the API under a fuzzer that reads its OpenAPI document', () => {
  test.skipIf('lacking' in program)(
    title,
    async () => {
      if (!('path' in program)) return
      await using subject = await openSubject()
      const { code, output } = await fuzz(program.path, subject)
      expect(subject.log.filter(({ event }) => event === 'api.bug')).toEqual([])
      expect(output).toMatch(/[1-9]\d{2,} generated/)
      // What it found is the message.
      expect(code === 0 ? '' : output).toBe('')
      const alive = await fetch(`${subject.url}/api/whoami`, { headers: authorization(subject) })
      expect(alive.status).toBe(200)
      expect(subject.control.store.audit.verify()).toEqual({ intact: true })
    },
    2 * FUZZ_MS + 10_000,
  )
})

function authorization({ rootToken }: Subject): Record<string, string> {
  return { Authorization: `Bearer ${rootToken}` }
}

/** Archives are bytes to the fuzzer. */
const HOOKS = `import schemathesis
from hypothesis import strategies as st

for media_type in ("application/x-tar", "application/gzip", "application/x-gzip"):
    schemathesis.openapi.media_type(media_type, st.binary(max_size=64))
`

/** What schemas cannot say: \`min\` is not above \`max\`, and a digest is that of the content. */
const SETTINGS = `hooks = "hooks.py"
headers = { Authorization = "Bearer \${FLEXI_TOKEN}" }

[[operations]]
include-operation-id = ["override", "createDeployment"]
checks.positive_data_acceptance.expected-statuses = ["2xx", 400, 403, 404, 409, 422]

[[operations]]
include-operation-id = ["putArtifact", "upload", "rollback", "setAlias"]
checks.positive_data_acceptance.expected-statuses = ["2xx", 400, 403, 404, 409]

# Where an alias led is told when it is gone, too.
[[operations]]
include-operation-id = "aliasHistory"
checks.use_after_free.enabled = false
`

/** What takes functions away comes last: the other operations would find none. */
const REMOVING = ['remove', 'removeFunction']

async function fuzz(path: string, subject: Subject): Promise<{ code: number; output: string }> {
  await writeFile(join(directory, 'hooks.py'), HOOKS)
  await writeFile(join(directory, 'schemathesis.toml'), SETTINGS)
  const kept = await fuzzSome(
    path,
    subject,
    REMOVING.map((id) => `--exclude-operation-id=${id}`),
  )
  const removed = await fuzzSome(
    path,
    subject,
    REMOVING.map((id) => `--include-operation-id=${id}`),
  )
  return { code: kept.code + removed.code, output: kept.output + removed.output }
}

async function fuzzSome(path: string, subject: Subject, selection: readonly string[]) {
  const args = [
    'run',
    `${subject.url}/_flexi/api/openapi.json`,
    ...selection,
    '--checks=all',
    `--max-examples=${process.env['FLEXI_FUZZ_EXAMPLES'] ?? '5'}`,
    '--seed=1',
    '--no-shrink',
    '--request-timeout=10',
    '--no-color',
    '--continue-on-failure',
    '--generation-database=none',
  ]
  const environment = { ...process.env, FLEXI_TOKEN: subject.rootToken }
  try {
    const { stdout, stderr } = await run(path, args, {
      cwd: directory,
      env: environment,
      timeout: FUZZ_MS,
      maxBuffer: 64 * 1024 * 1024,
    })
    return { code: 0, output: stdout + stderr }
  } catch (error) {
    const { code, stdout = '', stderr = '' } = error as { code?: number; stdout?: string; stderr?: string }
    return { code: code ?? 1, output: stdout + stderr }
  }
}
