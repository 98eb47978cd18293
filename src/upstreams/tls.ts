import { readFile, stat } from 'node:fs/promises'
import type { SecureContext, SecureContextOptions } from 'node:tls'

import { errorMessage, FlexiError } from '../core/errors.ts'
import type { UpstreamTls } from '../core/upstream.ts'
import type { ClientTls } from '../forward/client-tls.ts'

/**
 * Reads the files once, so that no request does.
 * @throws FlexiError FLEXI_CONFIG for a file that is not there or is no PEM, and for a key of another certificate.
 */
export async function readClientTls(settings: UpstreamTls | undefined): Promise<ClientTls | undefined> {
  if (settings === undefined) return undefined
  const { verify, serverName } = settings
  return { verify, serverName, context: await secureContext(settings) }
}

/** Another text when one of the files was written: what was made of them is out of date. */
export async function tlsVersion(settings: UpstreamTls | undefined): Promise<string> {
  const { ca, cert, key } = settings ?? {}
  const files = [ca, cert, key].filter((file) => file !== undefined)
  const versions = files.map((file) =>
    stat(file).then(
      ({ mtimeMs, size }) => `${mtimeMs} ${size}`,
      () => 'missing',
    ),
  )
  return (await Promise.all(versions)).join(', ')
}

async function secureContext({ ca, cert, key }: UpstreamTls): Promise<SecureContext | undefined> {
  if (ca === undefined && cert === undefined && key === undefined) return undefined
  const [caPem, certPem, keyPem] = await Promise.all([ca, cert, key].map(readPem))
  const { createSecureContext, rootCertificates } = await import('node:tls')
  const options: SecureContextOptions = {
    // Node takes a list of authorities for all there are.
    ...(caPem === undefined ? {} : { ca: [...rootCertificates, caPem] }),
    ...(certPem === undefined ? {} : { cert: certPem }),
    ...(keyPem === undefined ? {} : { key: keyPem }),
  }
  try {
    return createSecureContext(options)
  } catch (error) {
    const files = [ca, cert, key].filter((file) => file !== undefined).join(', ')
    throw new FlexiError('FLEXI_CONFIG', `cannot use ${files} for TLS: ${errorMessage(error)}`, {
      hint: 'Name PEM files, and the key that belongs to the certificate.',
      cause: error,
    })
  }
}

async function readPem(file: string | undefined): Promise<string | undefined> {
  if (file === undefined) return undefined
  const text = await readFile(file, 'latin1').catch((error: unknown) => {
    throw new FlexiError('FLEXI_CONFIG', `cannot read ${file}: ${errorMessage(error)}`, {
      hint: 'Mend the file name in "tls" of the upstream.',
      cause: error,
    })
  })
  if (text.includes('-----BEGIN ')) return text
  throw new FlexiError('FLEXI_CONFIG', `${file} is no PEM file`, {
    hint: 'Convert it: openssl x509 -inform der -in FILE.',
  })
}
