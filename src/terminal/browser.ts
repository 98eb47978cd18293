import { spawn } from 'node:child_process'

const OPENERS: Readonly<Partial<Record<NodeJS.Platform, readonly [string, ...string[]]>>> = {
  darwin: ['open'],
  // `start` is a word of cmd.exe; its first quoted argument is a window title.
  win32: ['cmd', '/c', 'start', ''],
}

/** Opens the user's browser and does not wait for it. `failed` is told when there is none to open. */
export function openBrowser(url: string, failed: (reason: string) => void): void {
  const [command, ...first] = OPENERS[process.platform] ?? ['xdg-open']
  const child = spawn(command, [...first, url], { stdio: 'ignore', detached: true })
  child.on('error', () => failed(`no browser could be opened: ${command} was not found`))
  child.on('exit', (code) => {
    if (code !== null && code !== 0) failed(`no browser could be opened: ${command} ended with ${code}`)
  })
  child.unref()
}
