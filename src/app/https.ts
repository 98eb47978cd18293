import type { DevEvent } from '../core/events.ts'
import type { HttpsSettings, Project } from '../core/project.ts'
import type { Certificates } from '../tls/certificates.ts'

export interface AppHttpsOptions {
  /** What the command line says; undefined leaves it to the configuration. */
  readonly flag: boolean | undefined
  readonly host: string
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly onEvent: (event: DevEvent) => void
}

/** The certificates of an app, kept at what its configuration says. */
export interface AppHttps extends Disposable {
  readonly certificates: Certificates
  /** Reads certificates again. @throws FlexiError FLEXI_CONFIG; those in use stay. */
  adopt(project: Project): Promise<void>
  /** Tells how to trust an authority that was just made. */
  introduce(url: string): Promise<void>
}

/**
 * Undefined when the app speaks plain HTTP: then nothing of TLS is loaded.
 * @throws FlexiError FLEXI_CONFIG for certificates that cannot be served.
 */
export async function openHttps(project: Project, options: AppHttpsOptions): Promise<AppHttps | undefined> {
  const settings = effective(project, options.flag)
  if (settings === undefined) return undefined
  const { openCertificates } = await import('../tls/certificates.ts')
  const { host, environment, onEvent } = options
  const certificates = await openCertificates(settings, {
    host,
    environment,
    onWarning: (message) => onEvent({ event: 'warning', message }),
  })
  return {
    certificates,
    async adopt(next) {
      await certificates.replace(effective(next, options.flag) ?? settings)
    },
    async introduce(url) {
      const { authority } = certificates
      if (authority?.isNew !== true) return
      const { trustHints } = await import('../tls/trust.ts')
      onEvent({ event: 'authority', file: authority.file, hints: trustHints(authority.file, url) })
    },
    [Symbol.dispose]: () => certificates[Symbol.dispose](),
  }
}

function effective(project: Project, flag: boolean | undefined): HttpsSettings | undefined {
  if (flag === false) return undefined
  return project.server.https ?? (flag === true ? { certificates: [] } : undefined)
}
