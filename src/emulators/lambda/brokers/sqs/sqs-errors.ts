import { BrokerError } from '../broker-error.ts'

const OLD = 'AWS.SimpleQueueService.'

export function queueDoesNotExist(): BrokerError {
  return new BrokerError('QueueDoesNotExist', 'The specified queue does not exist.', {
    code: `${OLD}NonExistentQueue`,
  })
}

export function queueNameExists(attribute: string): BrokerError {
  const message = `A queue already exists with the same name and a different value for attribute ${attribute}`
  return new BrokerError('QueueNameExists', message, { code: 'QueueAlreadyExists' })
}

export function missingParameter(name: string): BrokerError {
  return new BrokerError(
    'MissingRequiredParameterException',
    `The request must contain the parameter ${name}.`,
    {
      code: 'MissingParameter',
    },
  )
}

export function invalidParameter(message: string): BrokerError {
  return new BrokerError('InvalidParameterValueException', message, { code: 'InvalidParameterValue' })
}

/** `Value 11 for parameter MaxNumberOfMessages is invalid. Reason: …` */
export function invalidValue(value: unknown, parameter: string, reason: string): BrokerError {
  return invalidParameter(`Value ${String(value)} for parameter ${parameter} is invalid. Reason: ${reason}`)
}

export function unknownAttribute(name: string): BrokerError {
  return new BrokerError('InvalidAttributeName', `Unknown Attribute ${name}.`)
}

export function invalidAttribute(name: string, reason = ''): BrokerError {
  const message = `Invalid value for the parameter ${name}.${reason === '' ? '' : ` Reason: ${reason}`}`
  return new BrokerError('InvalidAttributeValue', message)
}

/** Not one of SQS: there a queue has no end. */
export function queueFull(name: string, bytesMax: number): BrokerError {
  const message = `The queue ${name} holds ${bytesMax} bytes, which is all that is kept of one. Receive messages, or purge it.`
  return new BrokerError('OverLimit', message)
}

export function invalidContents(): BrokerError {
  const message =
    'Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF'
  return new BrokerError('InvalidMessageContents', message)
}

export function invalidReceipt(receipt: string): BrokerError {
  return new BrokerError(
    'ReceiptHandleIsInvalid',
    `The input receipt handle "${receipt}" is not a valid receipt handle.`,
  )
}

export function notInFlight(): BrokerError {
  return new BrokerError('MessageNotInflight', "The message referred to isn't in flight.", {
    code: `${OLD}MessageNotInflight`,
  })
}

export function emptyBatch(): BrokerError {
  return batchError('EmptyBatchRequest', 'There should be at least one entry in the request.')
}

export function batchError(type: string, message: string): BrokerError {
  return new BrokerError(type, message, { code: `${OLD}${type}` })
}
