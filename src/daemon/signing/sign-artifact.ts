import { createHash, createPrivateKey, createPublicKey, sign, type KeyObject } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { basename } from 'node:path'
import { pipeline } from 'node:stream/promises'

import { FlexiError, errorMessage } from '../../core/errors.ts'
import { keyHint, preAuthEncoding, STATEMENT, type Statement } from './statement.ts'

const MAKE_KEY = 'Make one with "openssl genpkey -algorithm ed25519 -out flexi.key".'

/**
 * A sigstore bundle (JSON, version 0.3) that says, under an Ed25519 key in PEM, that its owner stands for this file: a DSSE envelope with an
 * in-toto statement of the file's SHA-256. Needs no network.
 * @throws FlexiError FLEXI_SIGNATURE for what is no such key, or one whose passphrase is missing or wrong.
 */
export async function signArtifact(file: string, pem: string, passphrase?: string): Promise<unknown> {
  const key = privateKey(pem, passphrase)
  const hash = createHash('sha256')
  await pipeline(createReadStream(file), hash)
  const statement: Statement = {
    _type: STATEMENT.type,
    subject: [{ name: basename(file), digest: { sha256: hash.digest('hex') } }],
    predicateType: STATEMENT.predicateType,
    predicate: {},
  }
  const payload = Buffer.from(JSON.stringify(statement))
  const hint = keyHint(createPublicKey(key))
  const signature = sign(null, preAuthEncoding(STATEMENT.payloadType, payload), key)
  return {
    mediaType: 'application/vnd.dev.sigstore.bundle.v0.3+json',
    verificationMaterial: { publicKey: { hint }, tlogEntries: [] },
    dsseEnvelope: {
      payload: payload.toString('base64'),
      payloadType: STATEMENT.payloadType,
      signatures: [{ sig: signature.toString('base64'), keyid: hint }],
    },
  }
}

function privateKey(pem: string, passphrase: string | undefined): KeyObject {
  const key = parsed(pem, passphrase)
  if (key.asymmetricKeyType === 'ed25519') return key
  throw new FlexiError('FLEXI_SIGNATURE', `the key is of type ${key.asymmetricKeyType}, and not Ed25519`, {
    hint: MAKE_KEY,
  })
}

function parsed(pem: string, passphrase: string | undefined): KeyObject {
  try {
    return createPrivateKey({ key: pem, ...(passphrase === undefined ? {} : { passphrase }) })
  } catch (cause) {
    if (/ENCRYPTED/.test(pem))
      throw new FlexiError('FLEXI_SIGNATURE', 'the key has a passphrase, which is missing or wrong', {
        hint: 'Give it in FLEXI_SIGN_PASSPHRASE.',
        cause,
      })
    // Without what OpenSSL says of it: that may hold some of the key.
    throw new FlexiError('FLEXI_SIGNATURE', 'this is no private key in PEM form', {
      hint: /OPENSSH/.test(pem) ? `OpenSSH's own form is not read. ${MAKE_KEY}` : MAKE_KEY,
      cause: errorMessage(cause),
    })
  }
}
