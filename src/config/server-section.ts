import type { HttpsSettings, ServerSettings } from '../core/project.ts'
import type { ServerDocument } from './flexi-schema.ts'
import { addressFaults } from './route-settings.ts'
import { readFileName, type SectionReader } from './upstream-settings.ts'

/** Reads `server`. */
export function readServer(document: ServerDocument, reader: SectionReader): ServerSettings {
  const { port, host, trusted_proxies: trustedProxies, paths } = document
  reader.faults.push(...addressFaults(reader.source, ['server', 'trusted_proxies'], trustedProxies))
  return { port, host, https: readHttps(document.https, reader), trustedProxies, paths }
}

function readHttps(https: ServerDocument['https'], reader: SectionReader): HttpsSettings | undefined {
  if (https === undefined || https === false) return undefined
  if (https === true) return { certificates: [] }
  const certificates = https.certificates.flatMap((pair, index) => {
    const path = ['server', 'https', 'certificates', index]
    const cert = readFileName(pair.cert, [...path, 'cert'], reader)
    const key = readFileName(pair.key, [...path, 'key'], reader)
    return cert === undefined || key === undefined ? [] : [{ cert, key }]
  })
  return { certificates }
}
