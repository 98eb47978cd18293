import { chmod, open, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import type { LayerEntries } from './layer.ts'

const SCRIPT_BYTES_MAX = 64 * 1024
const SHELL = /^#! ?(?:\/usr)?\/bin\/(?:env )?(?:ba|da|z|k)?sh\b/
const OPT = /(?<=^|[\s"'=:(,])\/opt(?=[/"'\s:)]|$)/gm
/** A path that a shell takes for one word, quoted or not. */
const PLAIN = /^[\w/.@+-]+$/

/** Where layers have what is started by its name: wrappers, extensions, programs. */
const FOLDERS = new Set(['.', 'bin', 'extensions'])

/**
 * Shell scripts that start something say where it lies in Lambda: `exec /opt/agent/run`. There `/opt` is nothing but the layers, so here
 * it is the merged folder.
 */
export async function placeScripts(
  entries: LayerEntries,
  { writtenTo, directory }: { readonly writtenTo: string; readonly directory: string },
): Promise<void> {
  if (!PLAIN.test(directory)) return
  for (const [path, entry] of entries) {
    if (entry.kind !== 'file' || entry.bytes > SCRIPT_BYTES_MAX || !FOLDERS.has(dirname(path))) continue
    const file = join(writtenTo, path)
    const mode = await modeOfScript(file)
    if (mode === undefined) continue
    const text = await readFile(file, 'utf8')
    const placed = text.replaceAll(OPT, directory)
    if (placed !== text) await replace(file, placed, mode)
  }
}

/** Undefined for what is no shell script. */
async function modeOfScript(file: string): Promise<number | undefined> {
  const opened = await open(file)
  try {
    const { buffer, bytesRead } = await opened.read(Buffer.alloc(40), 0, 40, 0)
    return SHELL.test(buffer.toString('latin1', 0, bytesRead)) ? (await opened.stat()).mode : undefined
  } finally {
    await opened.close()
  }
}

/** Also one that may not be written to. */
async function replace(file: string, text: string, mode: number): Promise<void> {
  await rm(file)
  await writeFile(file, text)
  await chmod(file, mode)
}
