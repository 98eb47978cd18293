import { AliasHistory, AliasList, AliasRemove, AliasSet, Rollback } from './alias.ts'
import { Audit, Deployments } from './audit.ts'
import Build from './build.ts'
import Check from './check.ts'
import { D1MigrationsApply, D1MigrationsCreate, D1MigrationsList } from './d1-migrations.ts'
import { D1Databases, D1Execute, D1Export } from './d1.ts'
import { DaemonRestart, DaemonRootToken, DaemonStatus, DaemonStop } from './daemon-control.ts'
import DaemonStart from './daemon-start.ts'
import Deploy from './deploy.ts'
import Dev from './dev.ts'
import { EnvList, EnvSet, EnvUnset } from './env.ts'
import Events from './events.ts'
import {
  FunctionsGroup,
  FunctionsList,
  FunctionsRemove,
  FunctionsShow,
  FunctionsStart,
  FunctionsStatus,
  FunctionsStop,
  Versions,
} from './functions.ts'
import Invoke from './invoke.ts'
import { KvBulkDelete, KvBulkGet, KvBulkPut } from './kv-bulk.ts'
import { KvDelete, KvGet, KvList, KvNamespaces, KvPut } from './kv.ts'
import Login from './login.ts'
import Logout from './logout.ts'
import Logs from './logs.ts'
import New from './new.ts'
import Proxy from './proxy.ts'
import { QueuesInfo, QueuesList, QueuesSend } from './queues.ts'
import { R2Buckets, R2Delete, R2Get, R2Head, R2List, R2Put } from './r2.ts'
import { SecretsStoreDelete, SecretsStoreList, SecretsStoreSet } from './secrets-store.ts'
import { SecretsList, SecretsSet, SecretsUnset } from './secrets.ts'
import { TokensCreate, TokensList, TokensRevoke } from './tokens.ts'
import Trust from './trust.ts'
import Types from './types.ts'
import { UsersAdd, UsersList, UsersModify, UsersRemove, UsersShow } from './users.ts'
import Whoami from './whoami.ts'

/** Every verb of the command line. A table instead of a folder search, so that the bundle holds them all and nothing else. */
export const COMMANDS = {
  'alias:history': AliasHistory,
  'alias:list': AliasList,
  'alias:remove': AliasRemove,
  'alias:set': AliasSet,
  audit: Audit,
  build: Build,
  check: Check,
  'd1:databases': D1Databases,
  'd1:execute': D1Execute,
  'd1:export': D1Export,
  'd1:migrations:apply': D1MigrationsApply,
  'd1:migrations:create': D1MigrationsCreate,
  'd1:migrations:list': D1MigrationsList,
  'daemon:restart': DaemonRestart,
  'daemon:root-token': DaemonRootToken,
  'daemon:start': DaemonStart,
  'daemon:status': DaemonStatus,
  'daemon:stop': DaemonStop,
  deploy: Deploy,
  deployments: Deployments,
  dev: Dev,
  'env:list': EnvList,
  'env:set': EnvSet,
  'env:unset': EnvUnset,
  events: Events,
  'functions:group': FunctionsGroup,
  'functions:list': FunctionsList,
  'functions:remove': FunctionsRemove,
  'functions:show': FunctionsShow,
  'functions:start': FunctionsStart,
  'functions:status': FunctionsStatus,
  'functions:stop': FunctionsStop,
  invoke: Invoke,
  'kv:bulk:delete': KvBulkDelete,
  'kv:bulk:get': KvBulkGet,
  'kv:bulk:put': KvBulkPut,
  'kv:delete': KvDelete,
  'kv:get': KvGet,
  'kv:list': KvList,
  'kv:namespaces': KvNamespaces,
  'kv:put': KvPut,
  login: Login,
  logout: Logout,
  logs: Logs,
  new: New,
  proxy: Proxy,
  'queues:info': QueuesInfo,
  'queues:list': QueuesList,
  'queues:send': QueuesSend,
  'r2:buckets': R2Buckets,
  'r2:delete': R2Delete,
  'r2:get': R2Get,
  'r2:head': R2Head,
  'r2:list': R2List,
  'r2:put': R2Put,
  rollback: Rollback,
  'secrets:list': SecretsList,
  'secrets:set': SecretsSet,
  'secrets:unset': SecretsUnset,
  'secrets-store:delete': SecretsStoreDelete,
  'secrets-store:list': SecretsStoreList,
  'secrets-store:set': SecretsStoreSet,
  'tokens:create': TokensCreate,
  'tokens:list': TokensList,
  'tokens:revoke': TokensRevoke,
  trust: Trust,
  types: Types,
  'users:add': UsersAdd,
  'users:list': UsersList,
  'users:modify': UsersModify,
  'users:remove': UsersRemove,
  'users:show': UsersShow,
  versions: Versions,
  whoami: Whoami,
}

/** The commands that this process may be asked for. oclif goes through all flags of all that it is given before it runs one. */
export const ASKED = named(process.argv[2])

function named(word: string | undefined): Partial<typeof COMMANDS> {
  const entries = Object.entries(COMMANDS).filter(([id, { hiddenAliases }]) =>
    [id, ...hiddenAliases].some((name) => name === word || name.startsWith(`${word}:`)),
  )
  return entries.length === 0 ? COMMANDS : Object.fromEntries(entries)
}
