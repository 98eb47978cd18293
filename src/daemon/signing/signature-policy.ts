import { createHash, timingSafeEqual, verify, type KeyObject } from 'node:crypto'
import type { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'

import type { Bundle } from '@sigstore/bundle'
import type { SignedEntity } from '@sigstore/verify'

import { FlexiError, errorMessage } from '../../core/errors.ts'
import type { Digest } from '../model.ts'
import { digestsOf, STATEMENT } from './statement.ts'
import { readTrustedKeys, type TrustedKey } from './trusted-keys.ts'

/** Whose artifacts are run. A signature that is there is checked, whether or not one is required. */
export interface SignaturePolicy {
  readonly required: boolean
  /**
   * Which key stands for it; undefined for one that is not signed and need not be.
   * @throws FlexiError FLEXI_SIGNATURE for one that is not signed by a trusted key.
   */
  verify(artifact: SignedArtifact, bundle: unknown): Promise<{ readonly key: string } | undefined>
}

export interface SignedArtifact {
  readonly digest: Digest
  open(): Promise<Readable>
}

export interface SignaturePolicyOptions {
  readonly required: boolean
  /** Files with public keys in PEM, or folders of such. */
  readonly keys: readonly string[]
}

/** @throws FlexiError FLEXI_CONFIG for keys that are none, and where signatures are required and nobody's would do. */
export async function openSignaturePolicy({
  required,
  keys,
}: SignaturePolicyOptions): Promise<SignaturePolicy> {
  const trusted = await readTrustedKeys(keys)
  if (required && trusted.length === 0)
    throw new FlexiError(
      'FLEXI_CONFIG',
      'signatures are required, and no key is trusted: nothing could be deployed',
      {
        hint: 'Name the public keys of those who may deploy.',
      },
    )
  return {
    required,
    async verify(artifact, bundle) {
      if (bundle !== undefined && bundle !== null) return await verifyBundle(artifact, bundle, trusted)
      if (!required) return undefined
      throw new FlexiError(
        'FLEXI_SIGNATURE',
        'this daemon runs signed artifacts only, and this one is not signed',
        {
          hint: 'Deploy with "--sign KEY".',
        },
      )
    },
  }
}

async function verifyBundle(
  artifact: SignedArtifact,
  given: unknown,
  trusted: readonly TrustedKey[],
): Promise<{ readonly key: string }> {
  const [{ bundleFromJSON }, { toSignedEntity, Verifier }] = await Promise.all([
    import('@sigstore/bundle'),
    import('@sigstore/verify'),
  ])
  const bundle = parseBundle(bundleFromJSON, given)
  const content = await contentOf(artifact, bundle)
  const signed = toSignedEntity(bundle, content)
  const isMessage = bundle.content.$case === 'messageSignature'
  const entity = {
    ...signed,
    signature: isMessage ? overMessage(signed.signature, content) : signed.signature,
  }
  const signer = trusted.find(({ key }) => isBy(new Verifier(onlyTrust(key), NO_LOGS), entity))
  if (signer !== undefined) return { key: signer.name }
  throw new FlexiError('FLEXI_SIGNATURE', 'the artifact is not signed by a key that this daemon trusts', {
    hint: 'Sign with a trusted key, or have the operator trust yours.',
  })
}

type SignatureContent = SignedEntity['signature']

const NO_LOGS = { ctlogThreshold: 0, tlogThreshold: 0, timestampThreshold: 0 }

function onlyTrust(publicKey: KeyObject) {
  const none = { certificateAuthorities: [], timestampAuthorities: [], tlogs: [], ctlogs: [] }
  return { ...none, publicKey: () => ({ publicKey, validFor: () => true }) }
}

function isBy(verifier: { verify(entity: SignedEntity): unknown }, entity: SignedEntity): boolean {
  try {
    verifier.verify(entity)
    return true
  } catch {
    // It throws for every signature that does not fit, and for nothing else that could still be helped.
    return false
  }
}

function parseBundle(parse: (json: unknown) => Bundle, given: unknown): Bundle {
  let bundle: Bundle
  try {
    bundle = withoutLog(parse(given))
  } catch (cause) {
    throw new FlexiError('FLEXI_SIGNATURE', `the signature is no sigstore bundle: ${errorMessage(cause)}`, {
      cause,
    })
  }
  if (bundle.verificationMaterial.content.$case === 'publicKey') return bundle
  throw new FlexiError(
    'FLEXI_SIGNATURE',
    'the artifact is signed with a certificate, which nobody can check offline',
    {
      hint: 'Sign it with a key.',
    },
  )
}

/** It is keys that are trusted here, and not the log that a signature may also be in: nobody offline could ask it. */
function withoutLog(bundle: Bundle): Bundle {
  const { content } = bundle.verificationMaterial
  return {
    ...bundle,
    verificationMaterial: { content, tlogEntries: [], timestampVerificationData: undefined },
  }
}

/** The bytes that the signature covers, once it is sure that they stand for this artifact. */
async function contentOf(artifact: SignedArtifact, bundle: Bundle): Promise<Buffer> {
  const { content } = bundle
  if (content.$case === 'messageSignature') {
    const bytes = await buffer(await artifact.open())
    if (createHash('sha256').update(bytes).digest('hex') === artifact.digest) return bytes
    throw new FlexiError('FLEXI_SIGNATURE', 'the artifact was changed on the disk')
  }
  const { payload, payloadType } = content.dsseEnvelope
  const digests = payloadType === STATEMENT.payloadType ? digestsOf(payload) : []
  if (digests.some((digest) => isEqual(digest, artifact.digest))) return payload
  throw new FlexiError('FLEXI_SIGNATURE', 'the signature is for another artifact', {
    hint: 'Sign what is deployed: another build has another digest.',
  })
}

function isEqual(one: string, other: string): boolean {
  return one.length === other.length && timingSafeEqual(Buffer.from(one), Buffer.from(other))
}

/** The library names a hash where an Ed25519 key takes none, and so finds no signature of one over a message right. */
function overMessage(signature: SignatureContent, content: Buffer): SignatureContent {
  return {
    signature: signature.signature,
    compareDigest: (digest) => signature.compareDigest(digest),
    compareSignature: (other) => signature.compareSignature(other),
    verifySignature: (key) =>
      key.asymmetricKeyType === 'ed25519'
        ? verify(null, content, key, signature.signature)
        : signature.verifySignature(key),
  }
}
