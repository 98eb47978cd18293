const std = @import("std");
const flexi = @import("flexi.zig");

export fn handle_request(request: *const flexi.Request) *flexi.RawResponse {
    return flexi.serve(request, handle);
}

// Outside the function: what a response points to has to outlive it, here or in the allocator's memory.
const custom_headers = [_]flexi.Header{flexi.Header.init("X-custom-foo", "bar")};

/// Answers one request. Several threads call it at once. What `allocator` gives is freed once the response is sent.
fn handle(allocator: std.mem.Allocator, request: flexi.Request, response: *flexi.Response) !void {
    if (request.header("host")) |host| {
        if (std.mem.startsWith(u8, host, "iam")) {
            response.body = "iam response";
            return;
        }
    }
    if (request.header("x-slow")) |value| {
        // Other requests are answered meanwhile, on other threads.
        sleep(std.fmt.parseInt(u32, value, 10) catch 1000);
        response.body = "i am slow\n\n";
        return;
    }
    if (request.header("x-log-this")) |text| response.body = try allocator.dupe(u8, text);
    if (request.header("x-status")) |value| response.status = std.fmt.parseInt(u10, value, 10) catch 500;
    if (request.header("x-throw") != null) return error.AskedToFail;
    response.body = try std.fmt.allocPrint(allocator, "{s} {d}", .{ response.body, request.headers().len });
    response.headers = &custom_headers;
}

fn sleep(milliseconds: u64) void {
    // It has moved in Zig 0.15.
    const wait = if (@hasDecl(std.time, "sleep")) std.time.sleep else std.Thread.sleep;
    wait(milliseconds * std.time.ns_per_ms);
}

const testing = std.testing;

/// Calls the handler as flexi would, without flexi. `zig test src/hello.zig` runs the tests.
fn expectAnswer(headers: []const flexi.Header, status: u16, body: []const u8) !void {
    var arena = std.heap.ArenaAllocator.init(testing.allocator);
    defer arena.deinit();
    var response: flexi.Response = .{};
    handle(arena.allocator(), flexi.Request.of("GET", "/", headers, ""), &response) catch |err| {
        try testing.expectEqual(error.AskedToFail, err);
    };
    try testing.expectEqual(status, response.status);
    try testing.expectEqualStrings(body, response.body);
}

const log = flexi.Header.init("x-log-this", "I am a teapot");
const fail = flexi.Header.init("X-THROW", "1");

test "counts headers" {
    try expectAnswer(&.{flexi.Header.init("Accept", "*/*")}, 0, " 1");
}

test "the host comes first" {
    try expectAnswer(&.{ fail, flexi.Header.init("Host", "iam.example") }, 0, "iam response");
}

test "fails with what was logged, and its own status" {
    try expectAnswer(&.{ log, fail }, 0, "I am a teapot");
    try expectAnswer(&.{ log, fail, flexi.Header.init("x-status", "418") }, 418, "I am a teapot");
}

test "a status is a number" {
    try expectAnswer(&.{flexi.Header.init("x-status", "teapot")}, 500, " 1");
}
