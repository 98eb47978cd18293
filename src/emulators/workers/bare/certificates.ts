import { readFileSync } from 'node:fs'
import { rootCertificates } from 'node:tls'

let known: readonly string[] | undefined

/** What Node.js trusts besides the system's certificates, which workerd reads itself except on Windows. */
export function certificates(): readonly string[] {
  known ??= [...(process.platform === 'win32' ? rootCertificates : []), ...extraCertificates()]
  return known
}

function extraCertificates(): readonly string[] {
  const path = process.env['NODE_EXTRA_CA_CERTS']
  if (path === undefined) return []
  try {
    return (
      readFileSync(path, 'utf8').match(/-----BEGIN CERTIFICATE-----[^]+?-----END CERTIFICATE-----/g) ?? []
    )
  } catch {
    // Node.js itself has warned about it.
    return []
  }
}
