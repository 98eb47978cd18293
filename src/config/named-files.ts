import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'

import type { AbsolutePath } from '../core/place.ts'
import type { FlexiDocument } from './flexi-schema.ts'

/** What a file held when it was read. */
interface NamedFile {
  readonly hash: string
  /** Byte by byte: PEM is ASCII. */
  readonly text: string
}

/** The files a document names, by path; null for a folder and the like. What is not there is not in it. */
export type NamedFiles = ReadonlyMap<AbsolutePath, NamedFile | null>

/** Reads every certificate, key and authority that the document names: they are checked, and what is made of them changes with them. */
export async function readNamedFiles(document: FlexiDocument, directory: AbsolutePath): Promise<NamedFiles> {
  const upstreams = (document.routes ?? []).flatMap(({ upstream }) => upstream?.tls ?? [])
  const { https } = document.server ?? {}
  const pairs = typeof https === 'object' ? https.certificates : []
  const names = [
    ...upstreams.map(({ ca }) => ca),
    ...[...upstreams, ...pairs].flatMap(({ cert, key }) => [cert, key]),
  ]
  const paths = new Set(
    names.flatMap((name) => (name === undefined ? [] : (resolve(directory, name) as AbsolutePath))),
  )
  const files = await Promise.all([...paths].map(async (path) => ({ path, file: await readOne(path) })))
  return new Map(files.flatMap(({ path, file }) => (file === undefined ? [] : [[path, file]])))
}

async function readOne(path: AbsolutePath): Promise<NamedFile | null | undefined> {
  try {
    const content = await readFile(path)
    const hash = createHash('sha256').update(content).digest('base64url')
    return { hash, text: content.toString('latin1') }
  } catch (error) {
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT'
    return isMissing ? undefined : null
  }
}
