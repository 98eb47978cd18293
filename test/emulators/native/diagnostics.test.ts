import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { formatFault } from '../../../src/core/place.ts'
import { parseDiagnostics } from '../../../src/emulators/native/diagnostics.ts'
import { FIXTURES, temporaryFolder } from './compile.ts'

const OPTIONS = {
  directory: '/project',
  origin: { file: '/project/flexi.jsonc', line: 4, column: 16 },
}

/** Faults as one line each. */
function read(output: string): string[] {
  return parseDiagnostics(output.split('\n'), OPTIONS).map(({ place, message, severity, hint }) => {
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
      `/project/flexi.jsonc:4:16 error undefined reference to beyond ${advice}`,
      `/project/flexi.jsonc:4:16 error undefined reference to _apple ${advice}`,
    ])
  })

  test('the same fault of a header that several files include is told once', () => {
    expect(read('a.h:1:1: error: bad\nx.c:2:1: note: here\na.h:1:1: error: bad')).toEqual([
      '/project/a.h:1:1 error bad',
    ])
  })

  test('the source line comes along when the file is there', () => {
    const name = 'diagnostics.test.ts'
    const options = { ...OPTIONS, directory: import.meta.dirname }
    const [fault] = parseDiagnostics([`${name}:1:1: error: bad`], options)
    expect(fault?.place.file).toBe(join(import.meta.dirname, name))
    expect(fault?.text).toBe("import { readFile, writeFile } from 'node:fs/promises'")
  })

  test('a place that is no file is not read, because /dev/stdin would never end', () => {
    const [fault] = parseDiagnostics(['/dev/stdin:1:1: error: bad'], OPTIONS)
    expect(fault).toEqual({
      place: { file: '/dev/stdin', line: 1, column: 1 },
      message: 'bad',
      severity: 'error',
    })
  })

  test('there are at most 50, and errors before warnings when there are more', () => {
    const lines = Array.from(
      { length: 80 },
      (_, index) => `a.c:${index + 1}:1: ${index % 2 === 0 ? 'warning' : 'error'}: n`,
    )
    const severities = parseDiagnostics(lines, OPTIONS).map(({ severity }) => severity)
    expect(severities).toEqual([...Array(40).fill('error'), ...Array(10).fill('warning')])
  })

  test('the caret is under the fault, though gcc counts a tab as eight columns, and clang and Go count bytes', async () => {
    await using folder = await temporaryFolder()
    await writeFile(join(folder.path, 'a.c'), '\tint ü = 1; helper(1, 2);\n')
    const caretOf = (output: string): string => {
      const [fault] = parseDiagnostics(output.split('\n'), { ...OPTIONS, directory: folder.path })
      return fault === undefined ? '' : (formatFault(fault).split('\n')[2] ?? '')
    }
    const expected = '    | \t           ^'
    const frame = '    1 |         int ü = 1; helper(1, 2);\n      |                    ^~~~~~'
    expect(caretOf(`a.c:1:20: error: too many\n${frame}`)).toBe(expected)
    expect(caretOf(`a.c:1:14: error: too many\n${frame}\na.c:1:2: note: here\n${frame}`)).toBe(expected)
    expect(caretOf('a.c:1:14: error: too many')).toBe(expected)
  })

  test('any output at all is read without failing, at places that exist', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary' })), (lines) => {
        for (const { place } of parseDiagnostics(lines, OPTIONS)) {
          expect(place.line).toBeGreaterThanOrEqual(1)
          expect(place.column).toBeGreaterThanOrEqual(1)
        }
      }),
    )
  })
})

test('a megabyte that looks like file names is read in a moment, because the server waits for it', () => {
  const lines = Array.from({ length: 500 }, () => 'a.b:1:'.repeat(350))
  const startedAt = performance.now()
  parseDiagnostics(lines, OPTIONS)
  parseDiagnostics(Array(500).fill(`${'a.'.repeat(1000)}`), OPTIONS)
  expect(performance.now() - startedAt).toBeLessThan(2_000)
})

/** Outputs of the compilers as they came, for several mistakes one after the other. */
describe('real outputs', () => {
  const recorded = async (name: string): Promise<string[]> =>
    read(await readFile(join(FIXTURES, 'diagnostics', `${name}.txt`), 'utf8'))

  test('gcc 12', async () => {
    expect(await recorded('gcc')).toMatchInlineSnapshot(`
      [
        "/project/b.c:2:26 error ‘y’ undeclared (first use in this function)",
        "/project/b.c:9:9 error expected ‘,’ or ‘;’ before ‘resonse’",
        "/project/b.c:10:9 error too many arguments to function ‘helper’",
        "/project/b.c:11:28 error ‘FlexiRequest’ has no member named ‘taget’; did you mean ‘target’?",
        "/project/b.c:12:16 warning returning ‘int’ from a function with return type ‘FlexiResponse *’ makes pointer from integer without a cast [-Wint-conversion]",
        "/project/b.c:11:15 warning unused variable ‘s’ [-Wunused-variable]",
        "/project/b.c:7:13 warning unused variable ‘unused’ [-Wunused-variable]",
      ]
    `)
  })

  test('clang 18', async () => {
    expect(await recorded('clang')).toMatchInlineSnapshot(`
      [
        "/project/b.c:8:10 error use of undeclared identifier 'y'",
        "/project/b.c:10:12 error too many arguments to function call, expected single argument 'a', have 2 arguments",
        "/project/b.c:11:21 error no member named 'taget' in 'struct FlexiRequest'",
        "/project/b.c:12:9 error incompatible integer to pointer conversion returning 'int' from a function with result type 'FlexiResponse *' (aka 'struct FlexiResponse *') [-Wint-conversion]",
      ]
    `)
  })

  test('g++ 12: an error in a header of the library is shown where it was caused', async () => {
    expect(await recorded('gpp')).toMatchInlineSnapshot(`
      [
        "/project/a.cpp:13:19 error conversion from ‘int’ to non-scalar type ‘std::string’ {aka ‘std::__cxx11::basic_string<char>’} requested",
        "/project/a.cpp:14:17 error expected ‘;’ before ‘}’ token",
        "/project/a.cpp:7:43 error ‘class std::vector<int>’ has no member named ‘push’",
        "/project/a.cpp:10:11 error no match for ‘operator<’ (operand types are ‘const Key’ and ‘const Key’) (in stl_function.h:408)",
      ]
    `)
  })

  test('clang++ 18, the same', async () => {
    expect(await recorded('clangpp')).toMatchInlineSnapshot(`
      [
        "/project/a.cpp:13:15 error no viable conversion from 'int' to 'std::string' (aka 'basic_string<char>')",
        "/project/a.cpp:14:17 error expected ';' after return statement",
        "/project/a.cpp:10:4 error invalid operands to binary expression ('const Key' and 'const Key') (in operations.h:358)",
        "/project/a.cpp:7:43 error no member named 'push' in 'std::vector<int>'",
      ]
    `)
  })

  test('zig 0.13 and 0.15: an error in the library is shown where it was caused, when zig tells', async () => {
    expect(await recorded('zig')).toMatchInlineSnapshot(`
      [
        "/project/src/a.zig:9:6 error expected ',' after field",
        "/project/src/b.zig:27:44 error expected block or assignment, found 'const'",
        "/project/src/c.zig:29:25 error use of undeclared identifier 'custom_headrs'",
        "/project/src/d.zig:5:33 error expected type 'fn (mem.Allocator, flexi.Request, *flexi.Response) anyerror!void', found 'fn (u64) void'",
        "/opt/zig/lib/std/fmt.zig:632:21 error cannot format slice without a specifier (i.e. {s} or {any})",
        "/project/src/f.zig:28:43 error cannot format slice without a specifier (i.e. {s}, {x}, {b64}, or {any}) (in Writer.zig:1355)",
      ]
    `)
  })

  test('rustc and cargo 1.95', async () => {
    expect(await recorded('rust')).toMatchInlineSnapshot(`
      [
        "/project/src/lib.rs:39:56 error no method named \`heders\` found for reference \`&flexi::Request<'_>\` in the current scope [There is a method \`headers\` with a similar name.]",
        "/project/src/lib.rs:42:8 error mismatched types [The type constructed contains \`{integer}\` due to the type of the argument passed.]",
        "/project/src/lib.rs:15:10 error unexpected closing delimiter: \`)\`",
        "/project/src/lib.rs:39:9 warning unused variable: \`unused\`",
        "/project/src/lib.rs:34:41 error mismatched types",
        "/project/src/lib.rs:34:41 error mismatched types: expected \`u64\`, found \`&str\`",
        "/project/flexi.jsonc:4:16 error no matching package named \`serde\` found",
        "/project/Cargo.toml:14:5 error extra \`=\`, expected nothing",
        "/project/src/lib.rs:31:38 error no method named \`to_vce\` found for reference \`&[u8]\` in the current scope [There is a method \`to_vec\` with a similar name.]",
      ]
    `)
  })

  test('go 1.26, with cgo', async () => {
    expect(await recorded('go')).toMatchInlineSnapshot(`
      [
        "/project/hello.go:8:2 error "os" imported and not used",
        "/project/hello.go:32:21 error cannot use (number(value, 10, 500)) (value of type uint64) as int value in assignment",
        "/project/hello.go:35:10 error undefined: errAskedToFial",
        "/project/hello.go:16:12 error syntax error: unexpected ), expected (",
        "/project/hello.go:8:2 error no required module provides package github.com/x/y; to add it: [Run "go get github.com/x/y".]",
        "/project/hello.go:27:5 error declared and not used: text",
        "/project/hello.go:28:21 error response.Bdy undefined (type *Response has no field or method Bdy)",
        "/project/hold.c:15:10 error ‘hld’ undeclared (first use in this function); did you mean ‘held’?",
        "/project/hold.c:15:14 error expected ‘;’ before ‘held’",
        "/project/flexi.go:120:2 error could not determine what C.flexi_hodl refers to",
      ]
    `)
  })

  test('GNU ld, lld, zig’s linker and make: what no source is to blame for is shown at the build command', async () => {
    expect(await recorded('ld')).toMatchInlineSnapshot(`
      [
        "/project/l.c:3:1 error undefined reference to nowhere [Define it, or link the library that does (-l).]",
        "/project/flexi.jsonc:4:16 error elsewhere is defined more than once [Define it in one file, and declare it "extern" or "static" in the others.]",
        "/project/l.c:1:1 error handle_request is defined more than once [Define it in one file, and declare it "extern" or "static" in the others.]",
        "/project/flexi.jsonc:4:16 error q.o is not made for a shared library [Compile it with -fPIC.]",
        "/project/flexi.jsonc:4:16 error the linker does not find -lnothere [Install it, or name its folder (-L).]",
        "/project/flexi.jsonc:4:16 error nofile.c: No such file or directory",
        "/project/flexi.jsonc:4:16 error undefined reference to nowhere [Define it, or link the library that does (-l).]",
        "/project/flexi.jsonc:4:16 error the linker does not find nothere [Install it, or name its folder (-L).]",
        "/project/Makefile:2:1 error missing separator",
      ]
    `)
  })
})
