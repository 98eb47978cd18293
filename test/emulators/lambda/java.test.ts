import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, expect } from 'vitest'

import { runsWith, tool } from './client-conformance.ts'

const SOURCE = `package tested;

import java.util.Map;

public class Handler {
  public Object handle(Map<String, Object> event) {
    switch (String.valueOf(event.get("case"))) {
      case "fail": throw new IllegalStateException("told");
      case "crash": System.exit(3);
      case "big": return "x".repeat(((Number) event.get("bytes")).intValue());
      default: return event;
    }
  }
}
`

const PLUGIN = 'org.apache.maven.plugins:maven-dependency-plugin:3.6.1:get'
const source = await mkdtemp(join(tmpdir(), 'flexi-java-source-'))
const folder = await mkdtemp(join(tmpdir(), 'flexi-java-'))
await writeFile(join(source, 'Handler.java'), SOURCE)
await mkdir(join(folder, 'target', 'classes'), { recursive: true })
const missing =
  tool('java', ['-version'], source) ??
  tool('javac', ['-d', join(folder, 'target', 'classes'), 'Handler.java'], source) ??
  tool(
    'mvn',
    ['-q', '-B', PLUGIN, '-Dartifact=com.amazonaws:aws-lambda-java-runtime-interface-client:2.7.0'],
    source,
  )

runsWith(
  'aws-lambda-java-runtime-interface-client',
  { folder, missing },
  {
    config: { handler: 'tested.Handler::handle', options: { runtime: 'java17' } },
    failure: {
      errorMessage: 'told',
      errorType: 'java.lang.IllegalStateException',
      stackTrace: expect.arrayContaining(['tested.Handler.handle(Handler.java:8)']),
    },
    crash: { errorType: 'Runtime.ExitError', errorMessage: expect.stringContaining('exit status 3') },
  },
)

afterAll(async () => {
  await Promise.all([source, folder].map((each) => rm(each, { recursive: true, force: true })))
})
