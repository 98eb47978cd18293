import { z } from 'zod'

import { overridingConfig, shownConfig } from './config.ts'
import { reference, USER_NAME } from './names.ts'
import type { Operation } from './operation.ts'
import { shownUser, tokenForUser, userChange } from './users.ts'

/** Archives that are taken in, by their media types; what they are is told by their first bytes. */
const ARCHIVE_TYPES = ['application/x-tar', 'application/gzip', 'application/x-gzip'] as const

const key = z.object({ key: reference })
const user = z.object({ user: z.string().min(1).max(255).meta({ pattern: USER_NAME.source }) })
const NOT_FOUND = 'There is none of this name.'

/** The API as YFASS has it, with what it means where its program does otherwise. */
export const yfassOperations = {
  upload: {
    method: 'POST',
    path: '/api/upload/{key}',
    summary: 'Uploads an archive as a version',
    description: 'The version is not started. Its group is its uploader.',
    tag: 'YFASS',
    needs: ['write'],
    parameters: key,
    body: { kind: 'bytes', types: ARCHIVE_TYPES },
    answer: { kind: 'empty' },
    errors: { 409: 'The version is there: versions do not change.', 413: 'It is too large.' },
  },
  get: {
    method: 'GET',
    path: '/api/get/{key}',
    summary: 'Shows a version and its configuration',
    tag: 'YFASS',
    needs: ['read'],
    parameters: key,
    answer: {
      kind: 'json',
      schema: z
        .strictObject({
          meta: z.strictObject({
            name: z.string(),
            version: z.string(),
            version_alias: z.string().optional(),
          }),
          config: shownConfig,
        })
        .meta({ id: 'ShownVersion' }),
    },
    errors: { 404: NOT_FOUND },
  },
  override: {
    method: 'PUT',
    path: '/api/override/{key}',
    summary: "Replaces a version's configuration",
    tag: 'YFASS',
    needs: ['write'],
    parameters: key,
    body: { kind: 'json', schema: overridingConfig },
    answer: { kind: 'empty' },
    errors: { 404: NOT_FOUND },
  },
  alias: aliasOperation('PATCH'),
  putAlias: aliasOperation('PUT'),
  remove: {
    method: 'DELETE',
    path: '/api/remove/{key}',
    summary: 'Stops a version and removes it',
    tag: 'YFASS',
    needs: ['remove'],
    parameters: key,
    answer: { kind: 'empty' },
    errors: { 404: NOT_FOUND },
  },
  deploy: {
    method: 'POST',
    path: '/api/deploy/{key}',
    summary: 'Starts a version',
    description: 'Answers when it can be asked.',
    tag: 'YFASS',
    needs: ['execute'],
    parameters: key,
    answer: { kind: 'empty' },
    errors: { 404: NOT_FOUND, 409: 'It runs.', 422: 'It could not be started.' },
  },
  kill: {
    method: 'POST',
    path: '/api/kill/{key}',
    summary: 'Stops a version',
    tag: 'YFASS',
    needs: ['execute'],
    parameters: key,
    answer: { kind: 'empty' },
    errors: { 404: 'There is none of this name, or it does not run.' },
  },
  status: {
    method: 'GET',
    path: '/api/status/{key}',
    summary: 'Tells whether a version runs',
    tag: 'YFASS',
    needs: ['read'],
    parameters: key,
    answer: { kind: 'json', schema: z.strictObject({ running: z.boolean() }).meta({ id: 'Running' }) },
  },
  addUser: {
    method: 'POST',
    path: '/api/user/add',
    summary: 'Adds a user',
    description: 'The caller has to have every group that is given.',
    tag: 'YFASS',
    needs: ['admin'],
    body: { kind: 'json', schema: userChange },
    answer: { kind: 'empty' },
    errors: { 409: 'The name is taken.' },
  },
  getUser: {
    method: 'GET',
    path: '/api/user/get/{user}',
    summary: "Shows a user's groups",
    description: 'Of another user: to admins alone.',
    tag: 'YFASS',
    needs: 'any',
    parameters: user,
    answer: { kind: 'json', schema: shownUser },
    errors: { 404: NOT_FOUND },
  },
  removeUser: {
    method: 'DELETE',
    path: '/api/user/remove/{user}',
    summary: 'Removes a user and all tokens of theirs',
    tag: 'YFASS',
    needs: ['root'],
    parameters: user,
    answer: { kind: 'empty' },
    errors: { 404: NOT_FOUND },
  },
  requestToken: {
    method: 'POST',
    path: '/api/user/request-token',
    summary: 'Makes a token for a user',
    tag: 'YFASS',
    needs: ['admin'],
    body: { kind: 'json', schema: tokenForUser },
    answer: { kind: 'text', description: 'The token: 43 characters.' },
    errors: { 404: NOT_FOUND },
  },
  modifyUser: {
    method: 'PUT',
    path: '/api/user/modify',
    summary: "Replaces a user's groups",
    description: 'The caller has to have every group that is given or taken.',
    tag: 'YFASS',
    needs: ['admin'],
    body: { kind: 'json', schema: userChange },
    answer: { kind: 'empty' },
    errors: { 404: NOT_FOUND },
  },
} as const satisfies Record<string, Operation>

/** Both methods do the same: one is in YFASS's program, the other in its manual. */
function aliasOperation<Method extends 'PATCH' | 'PUT'>(method: Method) {
  return {
    method,
    path: '/api/alias/{key}',
    summary: 'Points an alias at a version; null takes away those that lead to it',
    tag: 'YFASS',
    needs: ['write'],
    parameters: key,
    body: {
      kind: 'json',
      schema: z
        .strictObject({ alias: z.string().max(255).nullable() })
        .meta({ id: 'AliasChange', examples: [{ alias: 'live' }] }),
    },
    answer: { kind: 'empty' },
    errors: { 404: NOT_FOUND },
  } as const satisfies Operation
}
