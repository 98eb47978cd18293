/**
 * JavaScript of the control worker (module.ts): runs another handler than `fetch` of a worker of the group, as the event that workerd
 * itself knows. `/trigger/scheduled|queue|email?worker=NAME`; the answers are those that `events/trigger.ts` reads.
 */
export const TRIGGERS_SOURCE = `
const TRIGGERS = { scheduled: triggerScheduled, queue: triggerQueue, email: triggerEmail }
/** A call that the handler does not wait for (setReject) is on its way when the handler's own end is told. */
const LATE_CALLS_MS = 5
/** Where miniflare's cloudflare:email keeps what an EmailMessage was made of. */
const RAW_EMAIL = 'EmailMessage::raw'

async function handleTrigger(request, url, env, ctx) {
  const name = url.searchParams.get('worker')
  const trigger = TRIGGERS[url.pathname.split('/')[2]]
  const service = env['worker:' + name]
  if (trigger === undefined) return Response.json({ message: 'no such trigger' }, { status: 404 })
  if (service === undefined) return Response.json({ message: 'no worker is called ' + name }, { status: 404 })
  return Response.json(await trigger(service, request, url))
}

async function triggerScheduled(service, request) {
  const { cron, scheduledTime } = await request.json()
  return await service.scheduled({ cron, scheduledTime: new Date(scheduledTime) })
}

async function triggerQueue(service, request) {
  const { queue, messages } = await request.json()
  const batch = messages.map(({ id, timestamp, attempts, body, encoding }) => ({
    id,
    timestamp: new Date(timestamp),
    attempts,
    body: encoding === 'base64' ? Uint8Array.from(atob(body), (letter) => letter.charCodeAt(0)) : body,
  }))
  return await service.queue(queue, batch)
}

async function triggerEmail(service, request, url) {
  const bytes = new Uint8Array(await request.arrayBuffer())
  const mail = emailHead(bytes)
  const result = { outcome: 'ok', forwarded: [], replies: [] }
  const message = emailMessage({ bytes, mail, result, from: url.searchParams.get('from'), to: url.searchParams.get('to') })
  try {
    await service.email(message)
  } catch (error) {
    result.outcome = 'exception'
    result.error = { name: String(error?.name), message: String(error?.message) }
  }
  await scheduler.wait(LATE_CALLS_MS)
  return result
}

/** What a handler gets; its calls are written down in the result. */
function emailMessage({ bytes, mail, result, from, to }) {
  const sent = () => ({ messageId: crypto.randomUUID().replaceAll('-', '') + '@example.com' })
  return {
    from,
    to,
    raw: new Response(bytes).body,
    rawSize: bytes.length,
    headers: new Headers(mail),
    setReject(reason) {
      result.rejected = String(reason)
    },
    async forward(rcptTo, headers) {
      result.forwarded.push({ to: String(rcptTo), fields: headers === undefined ? [] : [...headers] })
      return sent()
    },
    async reply(answer) {
      checkReplyable(mail)
      const raw = answer[RAW_EMAIL] ?? answer.raw
      if (raw === undefined) throw new TypeError('reply() takes an EmailMessage of cloudflare:email.')
      const reply = checkedReply(mail, answer, new Uint8Array(await new Response(raw).arrayBuffer()))
      result.replies.push({ from: String(answer.from), to: String(answer.to), raw: base64(reply) })
      return sent()
    },
  }
}

/** Names in lower case and unfolded values, up to the empty line. */
function emailHead(bytes) {
  const text = new TextDecoder('utf-8').decode(bytes)
  const head = text.split(/\\r?\\n\\r?\\n/, 1)[0].replace(/\\r?\\n[ \\t]+/g, ' ')
  return head.split(/\\r?\\n/).flatMap((line) => {
    const colon = line.indexOf(':')
    const name = line.slice(0, colon).trim().toLowerCase()
    return colon > 0 && /^[!-9;-~]+$/.test(name) ? [[name, line.slice(colon + 1).trim()]] : []
  })
}

function emailField(mail, name) {
  return mail.find(([key]) => key === name)?.[1]
}

/** Source: Cloudflare docs, Email Routing, Reply to emails from Workers. */
function checkReplyable(mail) {
  const suppressed = emailField(mail, 'x-auto-response-suppress') ?? 'none'
  const automatic = emailField(mail, 'auto-submitted') ?? 'no'
  const references = emailField(mail, 'references')
  const isHalfThread = (emailField(mail, 'in-reply-to') === undefined) !== (references === undefined)
  const isLong = (references?.match(/@/g)?.length ?? 0) >= 100
  if (suppressed.toLowerCase() !== 'none' || automatic.toLowerCase() !== 'no' || isHalfThread || isLong)
    throw new Error('Original email is not replyable')
}

/** What is sent: with a References field of its own, or the one that belongs to the thread. */
function checkedReply(mail, { from }, bytes) {
  const head = emailHead(bytes)
  const id = emailField(mail, 'message-id')
  const thread = emailField(mail, 'references') ?? ''
  const references = emailField(head, 'references')
  const address = (text) => /<([^>]*)>/.exec(text ?? '')?.[1] ?? text
  if (address(emailField(head, 'from')) !== from) throw new Error('From: header does not match mail from')
  if (emailField(head, 'message-id') === undefined) throw new Error('invalid message-id')
  if (emailField(head, 'received') !== undefined) throw new Error('invalid headers set')
  const answered = emailField(head, 'in-reply-to')
  if (answered === undefined) throw new Error('no In-Reply-To header found in reply message')
  if (answered !== id) throw new Error('In-Reply-To does not match original Message-ID')
  if (references === undefined) return prepended('References: ' + (id + ' ' + thread).trim() + '\\r\\n', bytes)
  if (!references.includes(id) || !references.includes(thread)) throw new Error('provided References header is invalid')
  return bytes
}

function prepended(line, bytes) {
  const start = new TextEncoder().encode(line)
  const all = new Uint8Array(start.length + bytes.length)
  all.set(start)
  all.set(bytes, start.length)
  return all
}

function base64(bytes) {
  let text = ''
  for (const byte of bytes) text += String.fromCharCode(byte)
  return btoa(text)
}

`
