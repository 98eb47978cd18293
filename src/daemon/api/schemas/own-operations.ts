import { z } from 'zod'

import { daemonInfo } from './daemon.ts'
import { deploymentEvent, deploymentRecord, deploymentRequest } from './deployments.ts'
import { digest, projectName, userName, wholeNumber } from './names.ts'
import type { Operation } from './operation.ts'
import { auditRecord, issuedToken, shownToken, tokenRequest, userRecord, whoami } from './users.ts'

const sinceQuery = wholeNumber(0, Number.MAX_SAFE_INTEGER).optional().describe('Milliseconds since 1970.')

/** What concerns the daemon itself and whole deployments. */
export const daemonOperations = {
  info: {
    method: 'GET',
    path: '/api/info',
    summary: 'Tells what this daemon is and can',
    tag: 'Daemon',
    needs: 'any',
    answer: { kind: 'json', schema: daemonInfo },
  },
  whoami: {
    method: 'GET',
    path: '/api/whoami',
    summary: 'Tells whose token this is and what it may do',
    tag: 'Daemon',
    needs: 'any',
    answer: { kind: 'json', schema: whoami },
  },
  renewRootToken: {
    method: 'POST',
    path: '/api/operator/root-token',
    summary: 'Makes the root token anew; the old one is worth nothing from now on',
    description: "Answered on the operator's own socket alone.",
    tag: 'Daemon',
    needs: 'operator',
    answer: {
      kind: 'json',
      schema: z.strictObject({ token: z.string() }).meta({ id: 'RootToken' }),
    },
  },
  hasArtifact: {
    method: 'HEAD',
    path: '/api/artifacts/{digest}',
    summary: 'Tells whether an archive is there',
    tag: 'Deployments',
    needs: ['write'],
    parameters: z.object({ digest }),
    answer: { kind: 'empty' },
    errors: { 404: 'It is not there.' },
  },
  putArtifact: {
    method: 'PUT',
    path: '/api/artifacts/{digest}',
    summary: 'Uploads an archive by its digest',
    tag: 'Deployments',
    needs: ['write'],
    parameters: z.object({ digest }),
    body: {
      kind: 'bytes',
      types: ['application/octet-stream', 'application/x-tar', 'application/gzip', 'application/x-gzip'],
    },
    answer: { kind: 'empty' },
    errors: { 413: 'It is too large, or its user has no room left.' },
  },
  createDeployment: {
    method: 'POST',
    path: '/api/deployments',
    summary: 'Deploys functions whose archives are there: all or none',
    description:
      'The answer begins when the deployment does, and tells each step; its last line is "done" or "failed". Only "done" has moved the alias.',
    tag: 'Deployments',
    needs: ['write', 'execute'],
    body: { kind: 'json', schema: deploymentRequest },
    answer: { kind: 'lines', schema: deploymentEvent },
    errors: { 409: 'A version named is there with other content.' },
  },
  deployments: {
    method: 'GET',
    path: '/api/deployments',
    summary: 'Lists deployments, newest first',
    tag: 'Deployments',
    needs: ['read'],
    query: z.object({ limit: wholeNumber(1, 1000).optional(), project: projectName.optional() }),
    answer: { kind: 'json', schema: z.array(deploymentRecord) },
  },
  audit: {
    method: 'GET',
    path: '/api/audit',
    summary: 'Lists who changed what, newest first',
    tag: 'Daemon',
    needs: ['admin'],
    query: z.object({ since: sinceQuery, limit: wholeNumber(1, 10_000).optional() }),
    answer: { kind: 'json', schema: z.array(auditRecord) },
  },
} as const satisfies Record<string, Operation>

/** What concerns users and tokens, besides YFASS's. */
export const userOperations = {
  users: {
    method: 'GET',
    path: '/api/users',
    summary: 'Lists users',
    tag: 'Users',
    needs: ['admin'],
    answer: { kind: 'json', schema: z.array(userRecord) },
  },
  tokens: {
    method: 'GET',
    path: '/api/tokens',
    summary: 'Lists tokens: all to admins, their own to others',
    tag: 'Users',
    needs: 'any',
    query: z.object({ user: userName.optional() }),
    answer: { kind: 'json', schema: z.array(shownToken) },
  },
  createToken: {
    method: 'POST',
    path: '/api/tokens',
    summary: 'Makes a token',
    description:
      'It may do at most what the caller may. One that is made by no admin does not outlive the token it was made with.',
    tag: 'Users',
    needs: 'any',
    body: { kind: 'json', schema: tokenRequest },
    answer: { kind: 'json', schema: issuedToken },
    errors: { 404: 'There is no user of this name.' },
  },
  revokeToken: {
    method: 'DELETE',
    path: '/api/tokens/{id}',
    summary: 'Revokes a token: one of their own, or any for admins',
    tag: 'Users',
    needs: 'any',
    parameters: z.object({ id: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, 'is no id of a token') }),
    answer: { kind: 'empty' },
    errors: { 404: 'There is none of this id.' },
  },
} as const satisfies Record<string, Operation>
