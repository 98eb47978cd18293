import { execFileSync } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { Arena } from '../../../src/emulators/native/arena.ts'
import { native } from '../../../src/emulators/native/index.ts'
import { serveFunction, type Served } from '../conformance.ts'
import { configOf, has, NO_CC, serveC } from './compile.ts'

const suite = NO_CC === undefined ? describe : describe.skip
const library = 'libfixture.so'

suite(`the allocator handed to zigInit${NO_CC === undefined ? '' : ` (${NO_CC})`}`, () => {
  test.each([
    ['0.13', '13', {}],
    ['0.11', '13', { zig: '0.11' }],
    ['0.13.0', '13', { zig: '0.13.0' }],
    ['0.14', '14', { zig: '0.14' }],
    ['0.15.1', '14', { zig: '0.15.1' }],
    ['0.16.0-dev.12', '14', { zig: '0.16.0-dev.12' }],
  ])(
    'of Zig %s aligns up to 64 KiB, grows and frees the last block, and gives NULL when there is no more',
    async (_version, minor, zig) => {
      await using served = await serveC('abi.c', {
        flags: [`-DZIG_MINOR=${minor}`],
        config: { options: { library, ...zig } },
      })
      for (let turn = 0; turn < 20; turn += 1) {
        const { body } = await served.ask(`/allocate?n=${turn}`)
        expect(body.toString()).toBe('x'.repeat(turn))
      }
    },
  )

  test('has as much as a request asks for, and does not keep what one large request took', async () => {
    await using served = await serveC('abi.c', { config: { options: { library, threads: 1 } } })
    await served.ask('/allocate?n=1')
    const large = await served.ask('/allocate?n=20000000')
    expect(large.body.length).toBe(20_000_000)
    expect((await served.ask('/allocate?n=1')).body.toString()).toBe('x')
  })

  test('serves in the server’s own process as well', async () => {
    await using served = await serveC('abi.c', {
      flags: ['-DZIG_MINOR=14'],
      config: { options: { library, zig: '0.14', isolation: 'none' } },
    })
    for (let turn = 0; turn < 20; turn += 1)
      expect((await served.ask('/allocate?n=3')).body.toString()).toBe('xxx')
  })
})

describe('the arena', () => {
  test.each([
    [0, 0],
    [1, 1569],
    [4, 6177],
    [8, 12_321],
    [16, 24_609],
  ])('of %i KB starts with %i bytes, as FlexiLib’s', (kilobytes, bytes) => {
    const arena = new Arena(kilobytes)
    expect([arena.preAllocated, arena.capacity]).toEqual([bytes, bytes])
  })

  test('grows with what a request needs, and stays, as the log line in FlexiLib’s documentation shows', () => {
    const arena = new Arena(1)
    arena.take(1500, 1)
    arena.take(256, 8)
    expect(arena.capacity).toBe(4350)
    arena.reset()
    expect(arena.capacity).toBe(4350)
    arena.take(1500, 1)
    arena.take(2700, 1)
    expect(arena.capacity).toBe(4350)
  })

  test('holds what it says: all of its first block can be taken without another', () => {
    const arena = new Arena(8)
    const { block } = arena
    arena.take(12_321, 1)
    expect([arena.capacity, arena.block]).toEqual([12_321, block])
    arena.take(1, 1)
    expect(arena.capacity).toBeGreaterThan(12_321)
  })

  test('gives back what one large request needed', () => {
    const arena = new Arena(8)
    arena.take(5_000_000, 1)
    expect(arena.capacity).toBeGreaterThan(5_000_000)
    arena.reset()
    expect(arena.capacity).toBe(12_321)
  })

  test('is as it was when there is no memory', () => {
    const arena = new Arena(1)
    expect(() => arena.take(2 ** 50, 1)).toThrow(RangeError)
    expect(arena.capacity).toBe(1569)
    arena.take(100, 1)
    expect(arena.capacity).toBe(1569)
  })

  const size = fc.integer({ min: 0, max: 3000 })
  const step = fc.oneof(
    fc.record({ kind: fc.constant('take' as const), bytes: size, log2: fc.integer({ min: 0, max: 13 }) }),
    fc.record({ kind: fc.constant('resize' as const), which: fc.nat(), wanted: size }),
    fc.record({ kind: fc.constant('free' as const), which: fc.nat() }),
  )

  test('never hands out memory twice, whatever is taken, resized and freed', () => {
    fc.assert(
      fc.property(fc.nat({ max: 4 }), fc.array(step, { maxLength: 100 }), (kilobytes, steps) => {
        const arena = new Arena(kilobytes)
        const live: { at: number; bytes: number }[] = []
        for (const action of steps) {
          const chosen = action.kind === 'take' ? undefined : live[action.which % Math.max(1, live.length)]
          if (action.kind === 'take') {
            const at = arena.take(action.bytes, 2 ** action.log2)
            expect(at % 2 ** action.log2).toBe(0)
            live.push({ at, bytes: action.bytes })
          } else if (chosen !== undefined && action.kind === 'resize') {
            if (arena.resize(chosen.at, chosen.bytes, action.wanted)) chosen.bytes = action.wanted
            else expect(action.wanted).toBeGreaterThan(chosen.bytes)
          } else if (chosen !== undefined) {
            arena.resize(chosen.at, chosen.bytes, 0)
            live.splice(live.indexOf(chosen), 1)
          }
        }
        const sorted = live.filter(({ bytes }) => bytes > 0).toSorted((a, b) => a.at - b.at)
        for (const [index, { at }] of sorted.entries()) {
          const before = sorted[index - 1]
          if (before !== undefined) expect(before.at + before.bytes).toBeLessThanOrEqual(at)
        }
      }),
    )
  })
})

/** Zig as a program or as the Python package, whichever is there. */
const zig = has('zig', 'version')
  ? ['zig']
  : has('python3', '-m', 'ziglang', 'version')
    ? ['python3', '-m', 'ziglang']
    : undefined
const NO_ZIG = zig === undefined ? 'neither zig nor python3 -m ziglang is installed' : 'zig'

async function serveZig(source: string, mode: string): Promise<Served> {
  return serveFunction(native, async (directory) => {
    await mkdir(directory, { recursive: true })
    const file = join(directory, 'fixture.zig')
    await writeFile(file, source)
    const [command = 'zig', ...args] = zig ?? []
    const target = `-femit-bin=${join(directory, library)}`
    execFileSync(command, [...args, 'build-lib', '-dynamic', '-O', mode, target, file])
    return configOf(directory)
  })
}

/** std's own containers on the given allocator: they resize, remap, free and allocate with alignments of their own. */
const CONTAINERS = `
const std = @import("std");
const builtin = @import("builtin");
const Response = extern struct { body: [*]const u8, body_len: usize, headers: ?*anyopaque, headers_len: usize, status: usize, reason: ?*anyopaque, reason_len: usize };
threadlocal var allocator: ?*std.mem.Allocator = null;
threadlocal var response: Response = undefined;
export fn flexi_zig_minor() u32 {
    return builtin.zig_version.minor;
}
export fn zigInit(given: *std.mem.Allocator) void {
    allocator = given;
}
const Wide = struct { value: u64 align(4096) };
fn work(memory: std.mem.Allocator) ![]const u8 {
    var map = std.AutoHashMap(u32, u64).init(memory);
    defer map.deinit();
    var index: u32 = 0;
    while (index < 5000) : (index += 1) try map.put(index, @as(u64, index) * 3);
    var sum: u64 = 0;
    var values = map.valueIterator();
    while (values.next()) |value| sum += value.*;
    const wide = try memory.create(Wide);
    defer memory.destroy(wide);
    if (@intFromPtr(wide) % 4096 != 0) return error.Misaligned;
    wide.value = sum;
    var text = try memory.alloc(u8, 10);
    text = try memory.realloc(text, 100_000);
    @memset(text, 'z');
    text = try memory.realloc(text, 5);
    if (memory.alloc(u8, 1 << 55)) |_| return error.Endless else |problem| if (problem != error.OutOfMemory) return problem;
    return std.fmt.allocPrint(memory, "{s} {d}", .{ text, wide.value });
}
export fn handle_request(_: *const anyopaque) ?*Response {
    const memory = allocator orelse return null;
    const body = work(memory.*) catch |problem| @errorName(problem);
    response = .{ .body = body.ptr, .body_len = body.len, .headers = null, .headers_len = 0, .status = 200, .reason = null, .reason_len = 0 };
    return &response;
}
export fn request_deinit() void {
    allocator = null;
}
`

describe.skipIf(zig === undefined)(`a library compiled by Zig (${NO_ZIG})`, () => {
  test.each(['Debug', 'ReleaseSafe', 'ReleaseFast'])(
    'in mode %s uses the allocator with std’s own containers',
    async (mode) => {
      await using served = await serveZig(CONTAINERS, mode)
      const answers = await Promise.all(Array.from({ length: 60 }, () => served.ask('/')))
      const bodies = new Set(answers.map(({ body }) => body.toString()))
      expect([...bodies]).toEqual([`zzzzz ${(4999 * 5000 * 3) / 2}`])
    },
    120_000,
  )
})
