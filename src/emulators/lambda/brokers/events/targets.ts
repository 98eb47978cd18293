import { parseArn } from '../arn.ts'
import { objects, texts, type Input } from '../json-input.ts'
import { validation } from './events-errors.ts'
import { object, optional, required } from './events-input.ts'
import type { Rule, Target } from './rule.ts'
import { compileTransform, type Transformation } from './transform.ts'

const SERVICES: readonly string[] = ['lambda', 'sqs', 'sns', 'events']

/** Puts targets to a rule; those of the same id are replaced. */
export function putTargets(rule: Rule, input: Input): Input {
  const written = objects(input, 'Targets')
  if (written.length === 0) throw validation('Parameter Targets is not valid. Reason: It must not be empty.')
  const FailedEntries: Input[] = []
  for (const one of written) {
    const TargetId = required(one, 'Id')
    const service = parseArn(required(one, 'Arn'))?.service ?? ''
    if (SERVICES.includes(service)) rule.targets.set(TargetId, targetOf(rule, one))
    else {
      const ErrorMessage = `flexi hands events to functions, queues, topics and buses, not to ${service}.`
      FailedEntries.push({ TargetId, ErrorCode: 'InvalidArgument', ErrorMessage })
    }
  }
  return { FailedEntryCount: FailedEntries.length, FailedEntries }
}

function targetOf(rule: Rule, written: Input): Target {
  return {
    id: required(written, 'Id'),
    arn: required(written, 'Arn'),
    written,
    transform: compileTransform(transformationOf(written), rule),
    deadLetter: optional(object(written, 'DeadLetterConfig') ?? {}, 'Arn'),
    groupId: optional(object(written, 'SqsParameters') ?? {}, 'MessageGroupId'),
  }
}

function transformationOf(written: Input): Transformation {
  const transformer = object(written, 'InputTransformer')
  const paths = object(transformer ?? {}, 'InputPathsMap') ?? {}
  return {
    input: optional(written, 'Input'),
    inputPath: optional(written, 'InputPath'),
    transformer: transformer && {
      paths: Object.fromEntries(Object.entries(paths).map(([name, path]) => [name, String(path)])),
      template: required(transformer, 'InputTemplate'),
    },
  }
}

export function removeTargets(rule: Rule, input: Input): Input {
  const FailedEntries: Input[] = []
  for (const TargetId of texts(input, 'Ids')) {
    if (rule.targets.delete(TargetId)) continue
    const ErrorMessage = `Rule ${rule.name} does not have a target with the Id ${TargetId}.`
    FailedEntries.push({ TargetId, ErrorCode: 'ResourceNotFoundException', ErrorMessage })
  }
  return { FailedEntryCount: FailedEntries.length, FailedEntries }
}
