import { resolve } from 'node:path'

import type { PemFault, PemFile } from '../core/pem.ts'
import type { AbsolutePath, Fault } from '../core/place.ts'
import { locate, type Path } from './flexi-faults.ts'
import type { FlexiDocument } from './flexi-schema.ts'
import type { NamedFiles } from './named-files.ts'
import type { SectionReader } from './upstream-settings.ts'

/** The names of PEM files that belong together, as the document writes them, and where. */
interface Names {
  readonly path: Path
  readonly cert?: string | undefined
  readonly key?: string | undefined
  readonly ca?: string | undefined
  /** Servers refuse to show a certificate that has ended; to show one to them may still do. */
  readonly mayHaveEnded: boolean
}

/** What is wrong inside the PEM files that a document names, each at the line that names the file. */
export async function certificateFaults(
  document: FlexiDocument,
  routeIndexes: readonly number[],
  reader: SectionReader,
): Promise<readonly Fault[]> {
  if (reader.named.size === 0) return []
  const { https } = document.server ?? {}
  const pairs = typeof https === 'object' ? https.certificates : []
  const all: Names[] = pairs.map((pair, index) => ({
    ...pair,
    path: ['server', 'https', 'certificates', index],
    mayHaveEnded: false,
  }))
  for (const [position, { upstream }] of (document.routes ?? []).entries()) {
    const path = ['routes', routeIndexes[position] ?? position, 'upstream', 'tls']
    if (upstream?.tls !== undefined) all.push({ ...upstream.tls, path, mayHaveEnded: true })
  }
  const faults = await Promise.all(all.map((names) => faultsOf(names, reader)))
  return faults.flat()
}

async function faultsOf(names: Names, { source, directory, named }: SectionReader): Promise<Fault[]> {
  const { authorityFaults, pairFaults } = await import('../core/pem.ts')
  const { cert, key, ca } = names
  const read = (name: string | undefined): PemFile | undefined => fileOf(name, directory, named)
  const [certFile, keyFile, caFile] = [read(cert), read(key), read(ca)]
  const found = await pairFaults({
    ...(certFile === undefined ? {} : { cert: certFile }),
    ...(keyFile === undefined ? {} : { key: keyFile }),
  })
  const all = caFile === undefined ? found : [...authorityFaults(caFile), ...found]
  return all.map((fault) => ({
    ...locate(source, [...names.path, fault.part]),
    message: `"${names[fault.part] ?? ''}": ${fault.message}`,
    hint: fault.hint,
    severity: severityOf(fault, names),
  }))
}

/** Undefined when it is not there, which is said elsewhere. */
function fileOf(name: string | undefined, directory: AbsolutePath, named: NamedFiles): PemFile | undefined {
  if (name === undefined) return undefined
  const file = named.get(resolve(directory, name) as AbsolutePath)
  return file === undefined || file === null ? undefined : { name, text: file.text }
}

function severityOf({ severity, isTime }: PemFault, { mayHaveEnded }: Names): 'error' | 'warning' {
  return severity ?? (isTime === true && mayHaveEnded ? 'warning' : 'error')
}
