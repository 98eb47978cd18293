import { join } from 'node:path'

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { parseDiagnostics } from '../../../src/emulators/native/diagnostics.ts'

const DIRECTORY = '/project'

/** Faults as one line each. */
function read(output: string): string[] {
  return parseDiagnostics(output.split('\n'), DIRECTORY).map(({ place, message, severity, hint }) => {
    const end = hint === undefined ? '' : ` [${hint}]`
    return `${place.file}:${place.line}:${place.column} ${severity ?? ''} ${message}${end}`
  })
}

describe('what compilers print becomes faults', () => {
  test('gcc: errors and warnings, not the notes that point at declarations', () => {
    expect(
      read(`src/hello.c: In function ‘handle_request’:
src/hello.c:12:5: error: too many arguments to function ‘f’
   12 |     f(1);
      |     ^
src/hello.c:3:13: note: declared here
src/hello.c:14:9: warning: unused variable ‘x’ [-Wunused-variable]
src/hello.c:1:10: fatal error: nowhere.h: No such file or directory
compilation terminated.`),
    ).toEqual([
      '/project/src/hello.c:12:5 error too many arguments to function ‘f’',
      '/project/src/hello.c:14:9 warning unused variable ‘x’ [-Wunused-variable]',
      '/project/src/hello.c:1:10 error nowhere.h: No such file or directory',
    ])
  })

  test('clang in colour, with advice', () => {
    expect(
      read(`\x1b[1mhello.c:3:3: \x1b[0m\x1b[0;1;31merror: \x1b[0muse of undeclared identifier 'resonse'; did you mean 'response'?\x1b[0m
hello.c:2:1: note: include the header <string.h> or explicitly provide a declaration`),
    ).toEqual([
      "/project/hello.c:3:3 error use of undeclared identifier 'resonse'; did you mean 'response'? [Include the header <string.h> or explicitly provide a declaration.]",
    ])
  })

  test('rustc: the place follows the message, and help is the hint', () => {
    expect(
      read(`error[E0425]: cannot find value \`requestx\` in this scope
  --> src/lib.rs:22:20
   |
22 |         _ => hello(requestx),
   |                    ^^^^^^^^
   |
help: a local variable with a similar name exists
warning: unused import: \`std::fmt\`
 --> src/lib.rs:1:5
error: could not compile \`hello\` (lib) due to 1 previous error; 1 warning emitted`),
    ).toEqual([
      '/project/src/lib.rs:22:20 error cannot find value `requestx` in this scope [A local variable with a similar name exists.]',
      '/project/src/lib.rs:1:5 warning unused import: `std::fmt`',
    ])
  })

  test('zig', () => {
    expect(
      read(`src/hello.zig:29:13: error: root source file struct 'time' has no member named 'sleep'
    std.time.sleep(500 * std.time.ns_per_ms);
    ~~~~~~~~^~~~~~
/usr/lib/zig/std/time.zig:1:1: note: struct declared here`),
    ).toEqual([
      "/project/src/hello.zig:29:13 error root source file struct 'time' has no member named 'sleep'",
    ])
  })

  test('go, which has no word for an error', () => {
    expect(read('# example.com/hello\n./main.go:9:2: undefined: nothing')).toEqual([
      '/project/main.go:9:2 error undefined: nothing',
    ])
  })

  test('linkers: GNU, lld and Apple’s', () => {
    const advice = '[Define it, or link the library that does (-l).]'
    expect(
      read(`/usr/bin/ld: /tmp/ccX1.o: in function \`handle_request':
hello.c:(.text+0x12): undefined reference to \`nowhere'
/usr/bin/ld: hello.c:14: undefined reference to \`elsewhere'
ld.lld: error: undefined symbol: beyond
  "_apple", referenced from:
collect2: error: ld returned 1 exit status`),
    ).toEqual([
      `/project/hello.c:1:1 error undefined reference to nowhere ${advice}`,
      `/project/hello.c:14:1 error undefined reference to elsewhere ${advice}`,
      `/project:1:1 error undefined reference to beyond ${advice}`,
      `/project:1:1 error undefined reference to _apple ${advice}`,
    ])
  })

  test('the same fault of a header that several files include is told once', () => {
    expect(read('a.h:1:1: error: bad\nx.c:2:1: note: here\na.h:1:1: error: bad')).toEqual([
      '/project/a.h:1:1 error bad',
    ])
  })

  test('the source line comes along when the file is there', () => {
    const name = 'diagnostics.test.ts'
    const [fault] = parseDiagnostics([`${name}:1:1: error: bad`], import.meta.dirname)
    expect(fault?.place.file).toBe(join(import.meta.dirname, name))
    expect(fault?.text).toBe("import { join } from 'node:path'")
  })

  test('any output at all is read without failing, at places that exist', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary' })), (lines) => {
        for (const { place } of parseDiagnostics(lines, DIRECTORY)) {
          expect(place.line).toBeGreaterThanOrEqual(0)
          expect(place.column).toBeGreaterThanOrEqual(1)
        }
      }),
    )
  })
})
