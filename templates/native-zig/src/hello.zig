const std = @import("std");
const flexi = @import("flexi.zig");

export fn handle_request(request: *const flexi.Request) *flexi.RawResponse {
    return flexi.serve(request, handle);
}

// Outside the function: what a response points to has to outlive it, here or in the allocator's memory.
const headers = [_]flexi.Header{flexi.Header.init("x-powered-by", "zig")};

/// Answers one request. What `allocator` gives is freed once the response is sent.
fn handle(allocator: std.mem.Allocator, request: flexi.Request) anyerror!flexi.Response {
    const path = request.path();
    if (std.mem.eql(u8, path, "/echo")) return echo(allocator, request);
    if (std.mem.eql(u8, path, "/sleep")) return sleep();
    if (std.mem.eql(u8, path, "/fail")) return error.AskedToFail;
    const name = request.header("x-name") orelse "world";
    return .{
        .headers = &headers,
        .body = try std.fmt.allocPrint(allocator, "Hello, {s}, from {{name}}!\n", .{name}),
    };
}

/// The request as it came in.
fn echo(allocator: std.mem.Allocator, request: flexi.Request) !flexi.Response {
    const head = try std.fmt.allocPrint(allocator, "{s} {s}\n", .{ request.method(), request.target() });
    return .{ .body = try std.mem.concat(allocator, u8, &.{ head, request.body() }) };
}

/// Other requests are answered meanwhile, on other threads.
fn sleep() flexi.Response {
    // It has moved in Zig 0.15.
    const wait = if (@hasDecl(std.time, "sleep")) std.time.sleep else std.Thread.sleep;
    wait(500 * std.time.ns_per_ms);
    return .{ .body = "slept\n" };
}

test "an unknown path says hello" {
    var arena = std.heap.ArenaAllocator.init(std.testing.allocator);
    defer arena.deinit();
    const target = "/";
    const method = "GET";
    const response = try handle(arena.allocator(), .{
        .target_ptr = target.ptr,
        .target_len = target.len,
        .method_ptr = method.ptr,
        .method_len = method.len,
        .body_ptr = target.ptr,
        .body_len = 0,
        .headers_ptr = undefined,
        .headers_len = 0,
    });
    try std.testing.expectEqual(@as(u16, 200), response.status);
    try std.testing.expect(std.mem.startsWith(u8, response.body, "Hello, world"));
}
