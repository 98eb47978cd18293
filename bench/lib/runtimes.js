import { copyFileSync, existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { flexiDev, missingFlexi } from './flexi-command.js'
import { benchRoot, findProgram, peersRoot } from './places.js'
import { scratchCopy } from './scratch.js'

/* Functions whose runtime asks for its events over HTTP, and what is held beside them: see SERVERS. */

const BODY = '{"ok":true}'
const app = (name) => join(benchRoot, 'apps', name)

/** Where AWS's own client for Node was built; it takes minutes and a C++ compiler, so nobody installs it on the way. */
const ric = process.env.FLEXI_BENCH_RIC ?? join(peersRoot, 'node_modules', 'aws-lambda-ric')

function missingRic() {
  return existsSync(join(ric, 'bin', 'index.mjs'))
    ? undefined
    : 'no aws-lambda-ric: build it (npm install aws-lambda-ric@3.3.0) and set FLEXI_BENCH_RIC to its folder'
}

/** The same runtime for both: ours is as fast as its client allows. */
function runtimeFolder(bootstrap) {
  const folder = scratchCopy('lambda-runtime', app('lambda-runtime'))
  if (bootstrap !== 'bootstrap') copyFileSync(join(folder, bootstrap), join(folder, 'bootstrap'))
  return folder
}

function flexi(label, { missing = () => undefined, prepare }) {
  return {
    label,
    body: BODY,
    missing: () => missingFlexi() ?? missing(),
    prepare,
    start: (where) => flexiDev(where),
  }
}

function plain(label, bootstrap, missing) {
  return {
    label,
    body: BODY,
    missing,
    prepare: () => runtimeFolder(bootstrap),
    start: ({ folder, port }) => ({
      command: process.execPath,
      args: [join(app('plain'), 'runtime-api.js'), String(port), folder, join(folder, 'bootstrap')],
      cwd: folder,
      env: { RIC: ric },
    }),
  }
}

const hasPython = () => (findProgram('python3') === undefined ? 'python3 is not on this machine' : undefined)

const large = {
  label: 'flexi dev, 1 MB',
  prepare: () => scratchCopy('lambda-large', app('lambda-large')),
}
const largeBody = JSON.stringify(
  Array.from({ length: 10_000 }, (_, n) => ({ n, text: 'x'.repeat(80) })),
).slice(0, 1_048_576)

export const RUNTIMES = {
  'flexi-python': flexi('flexi dev, Python, own runtime', {
    missing: hasPython,
    prepare: () => scratchCopy('lambda-python', app('lambda-python')),
  }),
  'flexi-runtime': flexi('flexi dev, 40-line Node runtime', { prepare: () => runtimeFolder('bootstrap') }),
  'flexi-ric': {
    ...flexi('flexi dev, aws-lambda-ric 3.3.0', {
      missing: missingRic,
      prepare: () => {
        const folder = runtimeFolder('bootstrap-ric')
        // Nothing of the shell reaches a function.
        const options = { provider: 'lambda', runtime: 'provided.al2023', handler: 'handler.handler', memory: 512, environment: { RIC: ric } } // prettier-ignore
        writeFileSync(join(folder, 'flexi.jsonc'), JSON.stringify({ functions: { hello: options } }))
        return folder
      },
    }),
  },
  'plain-runtime': plain('node:http, 40-line Node runtime', 'bootstrap', () => undefined),
  'plain-ric': plain('node:http, aws-lambda-ric 3.3.0', 'bootstrap-ric', missingRic),
  'flexi-large': { ...flexi(large.label, large), body: largeBody },
  'fork-large': {
    label: 'node:http, fork, 1 MB as JSON',
    body: largeBody,
    missing: () => undefined,
    prepare: large.prepare,
    start: ({ folder, port }) => ({
      command: process.execPath,
      args: [join(app('plain'), 'fork.js'), String(port), join(folder, 'hello.mjs')],
      cwd: folder,
    }),
  },
  'flexi-stream': {
    ...flexi('flexi dev, a stream', {
      prepare: () => scratchCopy('lambda-stream', app('lambda-stream')),
    }),
    body: 'firstsecond',
  },
}
