import { randomUUID } from 'node:crypto'

import { VERSION } from '../definition.ts'
import { queried, type ApiCall } from './api-call.ts'
import { checkRevision, conflict, notFound } from './api-error.ts'
import { foundIn, qualifiedArn, type ApiParts, type Changes, type Queries } from './api-parts.ts'
import type { FoundFunction } from './functions.ts'
import type { Input } from './input.ts'
import type { PolicyState } from './state.ts'

const SID = /^[a-zA-Z0-9-_]{1,100}$/
const ACTION = /^(lambda:[*]|lambda:[a-zA-Z]+|[*])$/

/** Who may do what: kept and shown. Nobody is refused here. */
export function policyQueries(parts: ApiParts): Queries {
  return {
    GetPolicy: (call) => {
      const policy = policyOf(parts, foundIn(parts, call))
      if (policy === undefined) throw notFound('The resource you requested does not exist.')
      const document = { Version: '2012-10-17', Id: 'default', Statement: policy.statements }
      return { Policy: JSON.stringify(document), RevisionId: policy.revisionId }
    },
  }
}

export function policyChanges(parts: ApiParts): Changes {
  const { functions } = parts.deployments
  const keep = async (
    { name, qualifier = VERSION }: FoundFunction,
    statements: PolicyState['statements'],
  ): Promise<void> => {
    await functions.keep(name, (kept) => {
      const { [qualifier]: _old, ...policies } = kept.policies
      if (statements.length === 0) return { ...kept, policies }
      return { ...kept, policies: { ...policies, [qualifier]: { revisionId: randomUUID(), statements } } }
    })
  }
  return {
    AddPermission: async (call, input) => {
      const found = foundIn(parts, call)
      const old = policyOf(parts, found)
      checkKnown(input.text('RevisionId'), old)
      const statement = statementOf(input, qualifiedArn(parts, found))
      if (old?.statements.some(({ Sid }) => Sid === statement['Sid']) === true)
        throw conflict(
          `The statement id (${String(statement['Sid'])}) provided already exists. Please provide a new statement id, or remove the existing statement.`,
        )
      await keep(found, [...(old?.statements ?? []), statement])
      return { Statement: JSON.stringify(statement) }
    },
    RemovePermission: async (call: ApiCall) => {
      const found = foundIn(parts, call)
      const old = policyOf(parts, found)
      if (old === undefined) throw notFound('No policy is associated with the given resource.')
      checkKnown(queried(call, 'RevisionId'), old)
      const sid = call.parameters[1] ?? ''
      const left = old.statements.filter(({ Sid }) => Sid !== sid)
      if (left.length === old.statements.length)
        throw notFound(`Statement ${sid} is not found in resource policy.`)
      await keep(found, left)
    },
  }
}

function policyOf({ deployments }: ApiParts, { name, qualifier = VERSION }: FoundFunction) {
  return deployments.functions.kept(name).policies[qualifier]
}

function checkKnown(given: string | undefined, old: PolicyState | undefined): void {
  checkRevision(given, old?.revisionId ?? '')
}

function statementOf(input: Input, resource: string): Readonly<Record<string, unknown>> {
  const conditions = {
    ...under('ArnLike', { 'AWS:SourceArn': input.text('SourceArn') }),
    ...under('StringEquals', {
      'AWS:SourceAccount': input.text('SourceAccount'),
      'aws:PrincipalOrgID': input.text('PrincipalOrgID'),
      'lambda:EventSourceToken': input.text('EventSourceToken'),
      'lambda:FunctionUrlAuthType': input.choice('FunctionUrlAuthType', ['NONE', 'AWS_IAM']),
    }),
  }
  return {
    Sid: input.needed('StatementId', SID),
    Effect: 'Allow',
    Principal: principal(input.needed('Principal')),
    Action: input.needed('Action', ACTION),
    Resource: resource,
    ...(Object.keys(conditions).length > 0 ? { Condition: conditions } : {}),
  }
}

function under(operator: string, members: Readonly<Record<string, string | undefined>>): object {
  const given = Object.entries(members).filter(([, value]) => value !== undefined)
  return given.length === 0 ? {} : { [operator]: Object.fromEntries(given) }
}

/** `s3.amazonaws.com`, an account's number, an ARN, or everybody. */
function principal(text: string): unknown {
  if (text === '*') return text
  if (/^\d{12}$/.test(text)) return { AWS: `arn:aws:iam::${text}:root` }
  return text.startsWith('arn:') ? { AWS: text } : { Service: text }
}
