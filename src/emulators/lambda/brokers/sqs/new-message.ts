import type { MessageAttribute, SendMessage } from '../../service/queue.ts'
import type { QueueSettings } from './queue-settings.ts'
import { invalidContents, invalidParameter, invalidValue, missingParameter } from './sqs-errors.ts'

const NOT_FOR_THIS_TYPE = 'The request include parameter that is not valid for this queue type'
const DELAY_MS_MAX = 900_000
const ATTRIBUTES_MAX = 10

/** Whether the queue may have it. @throws BrokerError MissingParameter, InvalidParameterValue, InvalidMessageContents. */
export function checkMessage(message: SendMessage, settings: QueueSettings, fifo: boolean): void {
  if (message.body === '') throw missingParameter('MessageBody')
  if (NOT_ALLOWED.test(message.body)) throw invalidContents()
  checkMessageAttributes(message.attributes ?? {})
  if (messageBytes(message) > settings.messageBytesMax) {
    const reason = `Message must be shorter than ${settings.messageBytesMax} bytes.`
    throw invalidParameter(`One or more parameters are invalid. Reason: ${reason}`)
  }
  const { delayMs } = message
  if (delayMs !== undefined && !(delayMs >= 0 && delayMs <= DELAY_MS_MAX)) {
    throw invalidValue(delayMs / 1000, 'DelaySeconds', 'DelaySeconds must be >= 0 and <= 900.')
  }
  if (fifo) checkFifo(message, settings)
  else checkStandard(message)
}

function checkStandard({ deduplicationId, groupId }: SendMessage): void {
  if (deduplicationId !== undefined) {
    throw invalidValue(deduplicationId, 'MessageDeduplicationId', NOT_FOR_THIS_TYPE)
  }
  if (groupId !== undefined) checkId(groupId, 'MessageGroupId')
}

function checkFifo({ delayMs, groupId, deduplicationId }: SendMessage, settings: QueueSettings): void {
  if (groupId === undefined) throw missingParameter('MessageGroupId')
  if (delayMs !== undefined && delayMs > 0)
    throw invalidValue(delayMs / 1000, 'DelaySeconds', NOT_FOR_THIS_TYPE)
  checkId(groupId, 'MessageGroupId')
  if (deduplicationId !== undefined) checkId(deduplicationId, 'MessageDeduplicationId')
  else if (!settings.contentBasedDeduplication) {
    throw invalidParameter(
      'The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly',
    )
  }
}

function checkId(id: string, parameter: string): void {
  if (/^[\w!"#$%&'()*+,\-./:;<=>?@[\\\]^`{|}~]{1,128}$/.test(id)) return
  const reason = `${parameter} can only include alphanumeric and punctuation characters. 1 to 128 in length.`
  throw invalidValue(id, parameter, reason)
}

/** Bytes as SQS counts them: the body, and name, type and value of every attribute. */
export function messageBytes({ body, attributes = {} }: Pick<SendMessage, 'body' | 'attributes'>): number {
  let bytes = Buffer.byteLength(body)
  for (const [name, { type, text = '', binary = '' }] of Object.entries(attributes)) {
    bytes += Buffer.byteLength(name) + Buffer.byteLength(type) + Buffer.byteLength(text)
    bytes += Buffer.byteLength(binary, 'base64')
  }
  return bytes
}

/** @throws BrokerError InvalidParameterValue. */
export function checkMessageAttributes(attributes: Readonly<Record<string, MessageAttribute>>): void {
  const names = Object.keys(attributes)
  if (names.length > ATTRIBUTES_MAX) {
    throw invalidParameter(
      `Number of message attributes [${names.length}] exceeds the allowed maximum [${ATTRIBUTES_MAX}].`,
    )
  }
  for (const name of names) checkMessageAttribute(name, attributes[name])
}

function checkMessageAttribute(name: string, attribute: MessageAttribute | undefined): void {
  const { type = '' } = attribute ?? {}
  if (!ATTRIBUTE_NAME.test(name) || name.length > 256) {
    throw invalidParameter(`The message attribute name '${name}' is invalid.`)
  }
  if (!ATTRIBUTE_TYPE.test(type) || type.length > 256) {
    throw invalidParameter(
      `The type of message (user) attribute '${name}' is invalid. You must use only the following supported type prefixes: Binary, Number, String.`,
    )
  }
  checkValue(name, type, type.startsWith('Binary') ? attribute?.binary : attribute?.text)
}

function checkValue(name: string, type: string, value: string | undefined): void {
  if (value === undefined || value === '') {
    throw invalidParameter(
      `The message (user) attribute '${name}' must contain a non-empty value of type '${type}'.`,
    )
  }
  if (/^Number(?:\.|$)/.test(type) && !Number.isFinite(Number(value))) {
    throw invalidParameter(`Can't cast the value of message (user) attribute '${name}' to a number.`)
  }
}

const ATTRIBUTE_NAME = /^(?!(?:aws|amazon)\.)[\w-]+(?:\.[\w-]+)*$/i
const ATTRIBUTE_TYPE = /^(?:String|Number|Binary)(?:\.|$)/
const NOT_ALLOWED = /[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/u
