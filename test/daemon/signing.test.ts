import { execFile } from 'node:child_process'
import { createHash, generateKeyPairSync, sign, type KeyObject } from 'node:crypto'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { promisify } from 'node:util'

import { bundleToJSON, toMessageSignatureBundle } from '@sigstore/bundle'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import type { Digest } from '../../src/daemon/model.ts'
import { readKeyFile } from '../../src/daemon/signing/key-file.ts'
import { signArtifact } from '../../src/daemon/signing/sign-artifact.ts'
import { openSignaturePolicy, type SignedArtifact } from '../../src/daemon/signing/signature-policy.ts'

let directory: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'flexi-signing-'))
})

afterEach(async () => {
  await rm(directory, { recursive: true })
})

const pem = { type: 'pkcs8', format: 'pem' } as const

function ed25519(): { publicKey: KeyObject; privateKey: KeyObject } {
  return generateKeyPairSync('ed25519')
}

async function trust(name: string, key: KeyObject): Promise<string> {
  const file = join(directory, name)
  await writeFile(file, key.export({ type: 'spki', format: 'pem' }))
  return file
}

async function archive(
  content: string,
): Promise<SignedArtifact & { readonly file: string; readonly bytes: Buffer }> {
  const bytes = Buffer.from(content)
  const digest = createHash('sha256').update(bytes).digest('hex') as Digest
  const file = join(directory, `${digest}.tar.gz`)
  await writeFile(file, bytes)
  return { digest, file, bytes, open: async () => Readable.from([bytes]) }
}

const refusedWith = (message: string) =>
  expect.objectContaining({ code: 'FLEXI_SIGNATURE', status: 403, message: expect.stringContaining(message) })

describe('a signature', () => {
  test('of a trusted key is found, and the key is told by file and fingerprint', async () => {
    const { publicKey, privateKey } = ed25519()
    const [other, key] = [await trust('other.pub', ed25519().publicKey), await trust('ci.pub', publicKey)]
    const policy = await openSignaturePolicy({ required: true, keys: [other, key] })
    const artifact = await archive('a')
    const bundle: unknown = JSON.parse(
      JSON.stringify(await signArtifact(artifact.file, privateKey.export(pem).toString())),
    )
    const fingerprint = createHash('sha256')
      .update(publicKey.export({ type: 'spki', format: 'der' }))
      .digest('base64')
    expect(await policy.verify(artifact, bundle)).toEqual({ key: `ci.pub SHA256:${fingerprint}` })
  })

  test('of another key, for another artifact, or changed, is refused, also where none is required', async () => {
    const { publicKey, privateKey } = ed25519()
    const key = privateKey.export(pem).toString()
    const policy = await openSignaturePolicy({ required: false, keys: [await trust('ci.pub', publicKey)] })
    const [one, two] = [await archive('one'), await archive('two')]
    const foreign = await signArtifact(one.file, ed25519().privateKey.export(pem).toString())
    await expect(policy.verify(one, foreign)).rejects.toEqual(
      refusedWith('not signed by a key that this daemon trusts'),
    )
    await expect(policy.verify(two, await signArtifact(one.file, key))).rejects.toEqual(
      refusedWith('for another artifact'),
    )
    const text = JSON.stringify(await signArtifact(one.file, key))
    const payload = (digest: string) =>
      Buffer.from(
        Buffer.from(/"payload":"([^"]+)"/.exec(text)?.[1] ?? '', 'base64')
          .toString()
          .replaceAll(one.digest, digest),
      ).toString('base64')
    const forged: unknown = JSON.parse(text.replace(payload(one.digest), payload(two.digest)))
    await expect(policy.verify(two, forged)).rejects.toEqual(
      refusedWith('not signed by a key that this daemon trusts'),
    )
  })

  test('no daemon without trusted keys takes a signature for good, because it could not tell', async () => {
    const policy = await openSignaturePolicy({ required: false, keys: [] })
    const artifact = await archive('a')
    const bundle = await signArtifact(artifact.file, ed25519().privateKey.export(pem).toString())
    await expect(policy.verify(artifact, bundle)).rejects.toEqual(refusedWith('not signed by a key'))
  })

  test.each([undefined, null])('is missed where one is required, and nowhere else (%s)', async (none) => {
    const keys = [await trust('ci.pub', ed25519().publicKey)]
    const artifact = await archive('a')
    expect(
      await (await openSignaturePolicy({ required: false, keys })).verify(artifact, none),
    ).toBeUndefined()
    const strict = await openSignaturePolicy({ required: true, keys })
    await expect(strict.verify(artifact, none)).rejects.toEqual(refusedWith('this one is not signed'))
  })

  test.each([
    ['ed25519', (bytes: Buffer, key: KeyObject) => sign(null, bytes, key), ed25519()],
    [
      'P-256, as cosign makes keys',
      (bytes: Buffer, key: KeyObject) => sign('sha256', bytes, key),
      generateKeyPairSync('ec', { namedCurve: 'P-256' }),
    ],
  ])(
    'over the bytes themselves, as cosign signs blobs, is found too: %s',
    async (_, signed, { publicKey, privateKey }) => {
      const policy = await openSignaturePolicy({ required: true, keys: [await trust('ci.pub', publicKey)] })
      const artifact = await archive('a')
      const bundle = (bytes: Buffer): unknown =>
        bundleToJSON(
          toMessageSignatureBundle({
            digest: createHash('sha256').update(bytes).digest(),
            signature: signed(bytes, privateKey),
            keyHint: 'any',
          }),
        )
      expect((await policy.verify(artifact, bundle(artifact.bytes)))?.key).toContain('ci.pub')
      await expect(policy.verify(artifact, bundle(Buffer.from('b')))).rejects.toEqual(
        refusedWith('not signed by a key'),
      )
      const changed = { ...artifact, open: async () => Readable.from([Buffer.from('b')]) }
      await expect(policy.verify(changed, bundle(artifact.bytes))).rejects.toEqual(
        refusedWith('changed on the disk'),
      )
    },
  )

  test.each<[string, unknown]>([
    ['a text', 'signature'],
    ['an empty object', {}],
    ['a list', []],
    ['a number', 7],
    [
      'a bundle without content',
      {
        mediaType: 'application/vnd.dev.sigstore.bundle.v0.3+json',
        verificationMaterial: { publicKey: { hint: 'x' } },
      },
    ],
    [
      'an envelope without signatures',
      {
        mediaType: 'application/vnd.dev.sigstore.bundle.v0.3+json',
        verificationMaterial: { publicKey: { hint: 'x' } },
        dsseEnvelope: { payload: '', payloadType: '', signatures: [] },
      },
    ],
  ])('that is %s is refused with a reason', async (_, bundle) => {
    const policy = await openSignaturePolicy({
      required: false,
      keys: [await trust('ci.pub', ed25519().publicKey)],
    })
    await expect(policy.verify(await archive('a'), bundle)).rejects.toMatchObject({ code: 'FLEXI_SIGNATURE' })
  })

  test('over a statement of another kind is refused, although its signature is right', async () => {
    const { publicKey, privateKey } = ed25519()
    const policy = await openSignaturePolicy({ required: true, keys: [await trust('ci.pub', publicKey)] })
    const artifact = await archive('a')
    for (const statement of [
      { _type: 'other', subject: [{ digest: { sha256: artifact.digest } }] },
      { subject: 1 },
      'x',
      null,
    ]) {
      const payload = Buffer.from(JSON.stringify(statement))
      const type = 'application/vnd.in-toto+json'
      const head = Buffer.from(`DSSEv1 ${type.length} ${type} ${payload.length} `)
      const sig = sign(null, Buffer.concat([head, payload]), privateKey).toString('base64')
      const bundle = {
        mediaType: 'application/vnd.dev.sigstore.bundle.v0.3+json',
        verificationMaterial: { publicKey: { hint: 'x' } },
        dsseEnvelope: {
          payload: payload.toString('base64'),
          payloadType: type,
          signatures: [{ sig, keyid: '' }],
        },
      }
      await expect(policy.verify(artifact, bundle)).rejects.toEqual(refusedWith('for another artifact'))
    }
  })
})

describe('keys', () => {
  test('those of a folder are all trusted; what is no public key is told with its file', async () => {
    const folder = join(directory, 'trusted')
    await mkdir(folder)
    const { publicKey, privateKey } = ed25519()
    await expect(openSignaturePolicy({ required: true, keys: [folder] })).rejects.toMatchObject({
      code: 'FLEXI_CONFIG',
      message: expect.stringContaining(`${folder} has no files`),
    })
    await trust('trusted/ci.pub', publicKey)
    await writeFile(join(folder, 'README'), 'not a key, and not named as one')
    const policy = await openSignaturePolicy({ required: true, keys: [folder] })
    const artifact = await archive('a')
    const bundle = await signArtifact(artifact.file, privateKey.export(pem).toString())
    expect((await policy.verify(artifact, bundle))?.key).toContain('ci.pub')
    await writeFile(join(folder, 'bad.pem'), 'no key')
    await expect(openSignaturePolicy({ required: true, keys: [folder] })).rejects.toThrow(
      'bad.pem is no public key in PEM form',
    )
  })

  test('a daemon that requires signatures and trusts nobody does not start, because nothing could be deployed', async () => {
    await expect(openSignaturePolicy({ required: true, keys: [] })).rejects.toMatchObject({
      code: 'FLEXI_CONFIG',
    })
  })

  test('a private key is not taken for a public one, because it does not belong on a server', async () => {
    const file = join(directory, 'ci.pem')
    await writeFile(file, ed25519().privateKey.export(pem))
    await expect(openSignaturePolicy({ required: true, keys: [file] })).rejects.toThrow('is a private key')
    await expect(openSignaturePolicy({ required: true, keys: [join(directory, 'none')] })).rejects.toThrow(
      'cannot be read',
    )
  })

  test('other types are refused with a way to make the right one', async () => {
    const artifact = await archive('a')
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
    await expect(signArtifact(artifact.file, rsa.privateKey.export(pem).toString())).rejects.toEqual(
      refusedWith('of type rsa, and not Ed25519'),
    )
    await expect(
      openSignaturePolicy({ required: true, keys: [await trust('rsa.pub', rsa.publicKey)] }),
    ).rejects.toThrow('is of type rsa')
    await expect(signArtifact(artifact.file, 'no key')).rejects.toMatchObject({
      code: 'FLEXI_SIGNATURE',
      hint: expect.stringContaining('openssl genpkey -algorithm ed25519'),
    })
  })

  test('one with a passphrase needs it', async () => {
    const { publicKey, privateKey } = ed25519()
    const text = privateKey.export({ ...pem, cipher: 'aes-256-cbc', passphrase: 'swordfish' }).toString()
    const artifact = await archive('a')
    for (const passphrase of [undefined, 'wrong'])
      await expect(signArtifact(artifact.file, text, passphrase)).rejects.toMatchObject({
        code: 'FLEXI_SIGNATURE',
        hint: 'Give it in FLEXI_SIGN_PASSPHRASE.',
      })
    const policy = await openSignaturePolicy({ required: true, keys: [await trust('ci.pub', publicKey)] })
    expect(await policy.verify(artifact, await signArtifact(artifact.file, text, 'swordfish'))).toBeDefined()
  })

  test('those that openssl makes are read', async (context) => {
    const run = promisify(execFile)
    const made = await run('openssl', [
      'genpkey',
      '-algorithm',
      'ed25519',
      '-out',
      join(directory, 'k'),
    ]).catch(() => undefined)
    if (made === undefined) return context.skip('openssl is not installed')
    await run('openssl', ['pkey', '-in', join(directory, 'k'), '-pubout', '-out', join(directory, 'k.pub')])
    const artifact = await archive('a')
    const policy = await openSignaturePolicy({ required: true, keys: [join(directory, 'k.pub')] })
    const bundle = await signArtifact(artifact.file, await readFile(join(directory, 'k'), 'utf8'))
    expect(await policy.verify(artifact, bundle)).toBeDefined()
  })
})

describe('the key of a data directory', () => {
  test('is made once, 32 bytes, for its user alone', async () => {
    const file = join(directory, 'key')
    const keys = await Promise.all([readKeyFile(file), readKeyFile(file), readKeyFile(file)])
    expect(new Set(keys.map((key) => key.toString('hex'))).size).toBe(1)
    expect(keys[0]).toHaveLength(32)
    expect(await readKeyFile(file)).toEqual(keys[0])
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    expect(await readdir(directory)).toEqual(['key'])
  })

  test('is refused when others may read it', async () => {
    const file = join(directory, 'key')
    await readKeyFile(file)
    for (const mode of [0o640, 0o604, 0o666]) {
      await chmod(file, mode)
      await expect(readKeyFile(file)).rejects.toMatchObject({
        code: 'FLEXI_DAEMON',
        hint: expect.stringContaining(`chmod 600 ${file}`),
      })
    }
    await rm(file)
    await symlink('/dev/null', file)
    await expect(readKeyFile(file)).rejects.toMatchObject({ code: 'FLEXI_DAEMON' })
  })

  test.each(['', 'short', 'x'.repeat(100)])(
    'is refused when it is none (%j), and is not made anew, because secrets need the old one',
    async (text) => {
      const file = join(directory, 'key')
      await writeFile(file, text, { mode: 0o600 })
      await expect(readKeyFile(file)).rejects.toThrow('is no key of a daemon')
      expect(await readFile(file, 'utf8')).toBe(text)
    },
  )
})
