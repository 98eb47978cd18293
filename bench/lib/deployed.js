// node deployed.js FOLDER PORT SANDBOX: a daemon with what is in FOLDER deployed to it, until it is ended.
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { projectRoot } from './places.js'

const [folder, port, sandbox] = process.argv.slice(2)
const flexi = join(projectRoot, 'bin', 'run.js')
const data = mkdtempSync(join(tmpdir(), 'flexi-bench-daemon-'))
const daemon = spawn(
  process.execPath,
  [flexi, 'daemon', 'start', '--data-dir', data, '--port', port, '--sandbox', sandbox],
  { stdio: ['ignore', 'inherit', 'pipe'] },
)
process.once('SIGTERM', () => daemon.kill('SIGTERM'))
daemon.once('exit', (code) => {
  rmSync(data, { recursive: true, force: true })
  process.exit(code ?? 0)
})
let said = ''
daemon.stderr.setEncoding('utf8').on('data', (text) => {
  process.stderr.write(text)
  const before = said
  said += text
  const token = /^root token: (\S+)$/m
  if (!token.test(before) && token.test(said)) deploy(token.exec(said)[1])
})

function deploy(token) {
  const words = [flexi, 'deploy', folder, '--daemon', `http://localhost:${port}`, '--network', 'none']
  const { status } = spawnSync(process.execPath, words, {
    stdio: 'inherit',
    env: { ...process.env, FLEXI_TOKEN: token },
  })
  if (status !== 0) daemon.kill('SIGTERM')
}
