import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'

import type { AbsolutePath } from '../core/place.ts'
import type { FlexiDocument } from './flexi-schema.ts'

/** Hashes of the files a document names, by path; null for a folder and the like. What is not there is not in it. */
export type FileHashes = ReadonlyMap<AbsolutePath, string | null>

/** Reads every certificate, key and authority that the document names, so that what is made of it changes with them. */
export async function hashNamedFiles(document: FlexiDocument, directory: AbsolutePath): Promise<FileHashes> {
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
  const hashes = await Promise.all([...paths].map(async (path) => ({ path, hash: await hashOf(path) })))
  return new Map(hashes.flatMap(({ path, hash }) => (hash === undefined ? [] : [[path, hash]])))
}

async function hashOf(path: AbsolutePath): Promise<string | null | undefined> {
  try {
    return createHash('sha256')
      .update(await readFile(path))
      .digest('base64url')
  } catch (error) {
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT'
    return isMissing ? undefined : null
  }
}
