import { chmod, open, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'

/** The names in a folder are on the disk when it resolves. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Also one whose folders are read-only. */
export async function removeTree(folder: string): Promise<void> {
  // root may remove them as they are.
  if (process.geteuid?.() !== 0) await makeWritable(folder)
  await rm(folder, { recursive: true, force: true })
}

async function makeWritable(folder: string): Promise<void> {
  const entries = await chmod(folder, 0o755)
    .then(() => readdir(folder, { withFileTypes: true }))
    .catch(() => [])
  for (const entry of entries) if (entry.isDirectory()) await makeWritable(join(folder, entry.name))
}
