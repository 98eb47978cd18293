import { existsSync, readdirSync } from 'node:fs'
import { homedir } from 'node:os'
import { basename, join } from 'node:path'

import type { AbsolutePath } from '../../../core/place.ts'
import type { Definition } from '../definition.ts'
import { findProgram, isExecutable } from '../find-program.ts'
import { filesIn, filesUnder } from './files-under.ts'
import { installationOf } from './installation.ts'
import { missingTool, type Program } from './program.ts'
import { versionOf, warnOfVersion } from './version-of.ts'

const MAIN = 'com.amazonaws.services.lambda.runtime.api.client.AWSLambda'
const CLIENT = 'aws-lambda-java-runtime-interface-client'
/** What the client needs, where it comes from a repository of the machine. */
const CLIENTS_OWN = [CLIENT, 'aws-lambda-java-core', 'aws-lambda-java-serialization']
const INSTALL = `mvn org.apache.maven.plugins:maven-dependency-plugin:3.6.1:get -Dartifact=com.amazonaws:${CLIENT}:2.7.0`

/** Where Maven, Gradle and AWS's own packages put classes, and folders of jars. */
const CLASSES = [
  '',
  'target/classes',
  'build/classes/java/main',
  'build/resources/main',
  'build/classes/kotlin/main',
]
const JARS = ['', 'lib', 'target', 'target/lib', 'target/dependency', 'build/libs', 'build/dependencies']

/**
 * A handler in Java (or another language of the JVM), as it was compiled, run by AWS's own runtime client.
 * @throws FlexiError FLEXI_TOOL_MISSING.
 */
export async function prepareJava(definition: Definition): Promise<Program> {
  const { name, options, taskRoot, memoryMb, opt } = definition
  const java = javaProgram()
  if (java === undefined) {
    throw missingTool(
      name,
      'java, which is not in PATH',
      'Install a JDK: "apt install default-jdk" or "brew install openjdk".',
    )
  }
  const folders = CLASSES.map((folder) => join(taskRoot, folder)).filter((folder) => existsSync(folder))
  const jars = JARS.flatMap((folder) => filesIn(join(taskRoot, folder), '.jar')).filter(isNoAppendix)
  const layerJars =
    opt === undefined ? [] : filesIn(join(opt.directory, 'java/lib'), '.jar').filter(isNoAppendix)
  const client = [...jars, ...layerJars].some((jar) => basename(jar).startsWith(CLIENT))
    ? []
    : installedClient()
  if (client === undefined)
    throw missingTool(name, `${CLIENT}, which is neither among its jars nor in ~/.m2`, `Run: ${INSTALL}`)
  const version = await versionOf(java, ['-version'], /version "([^"]+)"/)
  const wanted = options.runtime ?? 'java'
  if (/^java(\d+)/.exec(wanted)?.[1] !== majorOf(version))
    warnOfVersion(definition, wanted, `java ${version}`)
  return {
    runtime: wanted,
    version,
    command: java,
    readable: [...installationOf(java), ...client],
    args: [
      ...flags(memoryMb),
      '-cp',
      [...folders, ...jars, ...client, ...layerJars].join(':'),
      MAIN,
      options.handler,
    ],
    inputs: [
      ...jars,
      ...folders.slice(1).flatMap((folder) => filesUnder(folder, ['.class', '.properties', '.xml', '.json'])),
    ],
    environment: {},
    handler: options.handler,
    waitsToLoad: false,
  }
}

function javaProgram(): string | undefined {
  const home = process.env['JAVA_HOME']
  const own = home === undefined ? undefined : join(home, 'bin', 'java')
  return own !== undefined && isExecutable(own) ? own : findProgram(['java'], process.env['PATH'])
}

/** As in Lambda the heap has most of the memory; what starts fast wins over what is fast later. */
function flags(memoryMb: number): string[] {
  return [
    `-Xmx${Math.max(48, Math.floor(memoryMb * 0.6))}m`,
    '-XX:+UseSerialGC',
    '-XX:TieredStopAtLevel=1',
    '-Xshare:auto',
    // The client's own library writes logs through a call that later versions warn of.
    '--add-opens=java.base/java.util=ALL-UNNAMED',
  ]
}

/** `1.8.0_392` → 8, `21.0.1` → 21 */
function majorOf(version: string): string | undefined {
  return /^(?:1\.)?(\d+)/.exec(version)?.[1]
}

/** Sources and documentation are no code. */
function isNoAppendix(jar: string): boolean {
  return !/-(sources|javadoc|tests)\.jar$/.test(jar)
}

/** From Maven's repository or Gradle's cache; undefined when it is in neither. */
function installedClient(): AbsolutePath[] | undefined {
  const maven = join(homedir(), '.m2', 'repository', 'com', 'amazonaws')
  const found = CLIENTS_OWN.map((artifact) => newest(join(maven, artifact), artifact))
  const all = found.filter((jar) => jar !== undefined)
  return all.length === CLIENTS_OWN.length ? all : undefined
}

function newest(folder: string, artifact: string): AbsolutePath | undefined {
  try {
    return readdirSync(folder)
      .toSorted((one, other) => other.localeCompare(one, undefined, { numeric: true }))
      .map((version) => join(folder, version, `${artifact}-${version}.jar`) as AbsolutePath)
      .find((jar) => existsSync(jar))
  } catch {
    return undefined
  }
}
