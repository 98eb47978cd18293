import { BrokerError } from '../broker-error.ts'

export function validation(message: string): BrokerError {
  return new BrokerError('ValidationException', message)
}

export function ruleNotFound(rule: string, bus: string): BrokerError {
  return new BrokerError('ResourceNotFoundException', `Rule ${rule} does not exist on EventBus ${bus}.`)
}

export function busNotFound(bus: string): BrokerError {
  return new BrokerError('ResourceNotFoundException', `Event bus ${bus} does not exist.`)
}

export function invalidPattern(message: string): BrokerError {
  return new BrokerError('InvalidEventPatternException', message)
}
