import type { Watcher, WatcherOptions } from './watcher.ts'

/** Watches the whole folder, where anything may come that is not there yet, or only what is added. Neither is loaded before it is used. */
export async function openWatcher({
  whole,
  ...options
}: WatcherOptions & { readonly whole: boolean }): Promise<Watcher> {
  if (whole) return (await import('./watcher.ts')).watchFolder(options)
  return (await import('./file-watcher.ts')).watchFiles(options)
}
