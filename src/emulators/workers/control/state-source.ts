/**
 * JavaScript of the control worker (module.ts): stored data. What it is asked is written down in state/ask.ts; ids are those that `env` is
 * keyed by (control.ts).
 */
export const STATE_SOURCE = `
async function handleState(request, url, env, ctx) {
  const [, , kind, ...rest] = url.pathname.split('/').map(decodeURIComponent)
  const operation = rest.pop()
  const part = STATE_KINDS[kind]?.[request.method + ' ' + operation]
  if (part === undefined) return stateRefusal(404, 'there is no ' + request.method + ' ' + url.pathname)
  const id = rest.join('/')
  const resource = env[kind + ':' + id]
  if (resource === undefined) return stateRefusal(404, 'nothing here is bound to the ' + kind + ' ' + id)
  try {
    return await part(resource, url.searchParams, request, id)
  } catch (error) {
    return stateRefusal(400, String(error?.message ?? error))
  }
}

function stateRefusal(status, message, more) {
  return Response.json({ message, ...more }, { status })
}

const stateDone = () => new Response(null, { status: 204 })
const stateKey = (query) => query.get('key') ?? ''
const stateNumber = (query, name) => (query.has(name) ? Number(query.get(name)) : undefined)
const stateText = (query, name) => query.get(name) ?? undefined
// Fields hold ASCII alone.
const stateField = (request, name) => {
  const text = request.headers.get(name)
  return text === null ? undefined : JSON.parse(decodeURIComponent(text))
}
const stateFieldText = (value) => encodeURIComponent(JSON.stringify(value))

// At most this many at once: each is a request of its own inside the runtime.
async function stateEach(list, work) {
  const results = []
  for (let at = 0; at < list.length; at += 32) results.push(...(await Promise.all(list.slice(at, at + 32).map(work))))
  return results
}

function stateBytes(base64) {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))
}

function stateBase64(bytes) {
  let text = ''
  for (let at = 0; at < bytes.length; at += 0x8000) text += String.fromCharCode(...bytes.subarray(at, at + 0x8000))
  return btoa(text)
}

function kvOptions({ expiration, expiration_ttl, metadata }) {
  return { expiration, expirationTtl: expiration_ttl, metadata }
}

// A value that is no text comes as base64.
async function kvEntry(namespace, key) {
  const buffer = await namespace.get(key, 'arrayBuffer')
  if (buffer === null) return { key, value: null }
  try {
    return { key, value: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(buffer) }
  } catch {
    return { key, value: stateBase64(new Uint8Array(buffer)), base64: true }
  }
}

const KV_STATE = {
  async 'GET keys'(namespace, query) {
    const { keys, list_complete, cursor } = await namespace.list({
      prefix: stateText(query, 'prefix'),
      limit: stateNumber(query, 'limit'),
      cursor: stateText(query, 'cursor'),
    })
    return Response.json({ keys, list_complete, cursor })
  },
  async 'GET value'(namespace, query) {
    const { value, metadata } = await namespace.getWithMetadata(stateKey(query), 'stream')
    if (value === null) return stateRefusal(404, 'there is no key ' + stateKey(query), { missing: true })
    const headers = { 'content-type': 'application/octet-stream' }
    if (metadata !== null) headers['flexi-metadata'] = stateFieldText(metadata)
    return new Response(value, { headers })
  },
  async 'PUT value'(namespace, query, request) {
    const options = {
      expiration: stateNumber(query, 'expiration'),
      expiration_ttl: stateNumber(query, 'expiration_ttl'),
      metadata: stateField(request, 'flexi-metadata'),
    }
    await namespace.put(stateKey(query), request.body ?? '', kvOptions(options))
    return stateDone()
  },
  async 'DELETE value'(namespace, query) {
    await namespace.delete(stateKey(query))
    return stateDone()
  },
  async 'POST bulk-put'(namespace, query, request) {
    const entries = await request.json()
    await stateEach(entries, ({ key, value, base64, ...options }) =>
      namespace.put(key, base64 === true ? stateBytes(value) : value, kvOptions(options)),
    )
    return Response.json({ count: entries.length })
  },
  async 'POST bulk-get'(namespace, query, request) {
    return Response.json(await stateEach(await request.json(), (key) => kvEntry(namespace, key)))
  },
  async 'POST bulk-delete'(namespace, query, request) {
    const keys = await request.json()
    await stateEach(keys, (key) => namespace.delete(key))
    return Response.json({ count: keys.length })
  },
}

function r2Info({ key, size, etag, uploaded, httpMetadata, customMetadata, storageClass }) {
  return { key, size, etag, uploaded: uploaded.toISOString(), httpMetadata, customMetadata, storageClass }
}

function r2Missing(query) {
  return stateRefusal(404, 'there is no object ' + stateKey(query), { missing: true })
}

const R2_STATE = {
  async 'GET objects'(bucket, query) {
    const list = await bucket.list({
      prefix: stateText(query, 'prefix'),
      limit: stateNumber(query, 'limit'),
      cursor: stateText(query, 'cursor'),
      delimiter: stateText(query, 'delimiter'),
      include: ['httpMetadata', 'customMetadata'],
    })
    const { truncated, cursor, delimitedPrefixes } = list
    return Response.json({ objects: list.objects.map(r2Info), truncated, cursor, delimitedPrefixes })
  },
  async 'GET info'(bucket, query) {
    const object = await bucket.head(stateKey(query))
    return object === null ? r2Missing(query) : Response.json(r2Info(object))
  },
  async 'GET object'(bucket, query) {
    const object = await bucket.get(stateKey(query))
    if (object === null) return r2Missing(query)
    // Not customMetadata, which may be longer than the fields of an answer.
    const { httpMetadata, etag, size } = object
    const headers = { 'content-type': 'application/octet-stream', 'content-length': String(size) }
    headers['flexi-object'] = stateFieldText({ httpMetadata, etag, size })
    return new Response(object.body, { headers })
  },
  async 'PUT object'(bucket, query, request) {
    const { httpMetadata = {}, customMetadata, storageClass } = stateField(request, 'flexi-object') ?? {}
    const { cacheExpiry } = httpMetadata
    const object = await bucket.put(stateKey(query), request.body ?? '', {
      httpMetadata: cacheExpiry === undefined ? httpMetadata : { ...httpMetadata, cacheExpiry: new Date(cacheExpiry) },
      customMetadata,
      storageClass,
    })
    return Response.json(r2Info(object))
  },
  async 'DELETE object'(bucket, query) {
    await bucket.delete(stateKey(query))
    return stateDone()
  },
}

const PROBE_SQL = 'SELECT flexi_end_of_probe()'

function d1Prepare(database, statements) {
  return statements.map(({ sql, params = [] }) => database.prepare(sql).bind(...params))
}

// A batch fails as a whole and does not say where. What leads up to the probe is run and always undone.
async function d1FailsBefore(database, statements) {
  try {
    await database.batch(d1Prepare(database, [...statements, { sql: PROBE_SQL }]))
  } catch (error) {
    return !String(error?.message).includes('flexi_end_of_probe')
  }
  return false
}

async function d1FirstFailing(database, statements) {
  let good = 0
  let bad = statements.length
  while (bad - good > 1) {
    const middle = (good + bad) >> 1
    if (await d1FailsBefore(database, statements.slice(0, middle))) bad = middle
    else good = middle
  }
  return good
}

const D1_STATE = {
  async 'POST batch'(database, query, request) {
    const { statements } = await request.json()
    try {
      const results = await database.batch(d1Prepare(database, statements))
      return Response.json(results.map(({ results, success, meta }) => ({ results, success, meta })))
    } catch (error) {
      const message = String(error?.message ?? error).replace(/^D1_ERROR: /, '')
      return stateRefusal(400, message, { statement: await d1FirstFailing(database, statements) })
    }
  },
}

const QUEUE_STATE = {
  async 'POST messages'(queue, query, request) {
    const contentType = query.get('content_type') ?? 'json'
    const bytes = await request.arrayBuffer()
    const text = () => new TextDecoder().decode(bytes)
    const body = contentType === 'json' ? JSON.parse(text()) : contentType === 'text' ? text() : new Uint8Array(bytes)
    await queue.send(body, { contentType, delaySeconds: stateNumber(query, 'delay') })
    return stateDone()
  },
}

const SECRET_ADMIN = 'SecretsStoreSecret::admin_api'

async function secretText(secret) {
  try {
    return await secret.get()
  } catch (error) {
    if (/not found/.test(String(error?.message))) return undefined
    throw error
  }
}

const SECRET_STATE = {
  async 'GET value'(secret) {
    const value = await secretText(secret)
    return value === undefined ? stateRefusal(404, 'the secret is not set', { missing: true }) : new Response(value)
  },
  async 'PUT value'(secret, query, request) {
    const api = await secret[SECRET_ADMIN]()
    await api.create(await request.text())
    return stateDone()
  },
  async 'DELETE value'(secret, query, request, id) {
    const api = await secret[SECRET_ADMIN]()
    const found = (await api.list()).find(({ name }) => name === id.slice(id.indexOf('/') + 1))
    if (found === undefined) return stateRefusal(404, 'the secret is not set', { missing: true })
    await api.delete(found.metadata.uuid)
    return stateDone()
  },
}

const STATE_KINDS = { kv: KV_STATE, r2: R2_STATE, d1: D1_STATE, queue: QUEUE_STATE, secret: SECRET_STATE }
`
