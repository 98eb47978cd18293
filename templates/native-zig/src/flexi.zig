//! The interface between flexi and a native library; the same as flexi.h. See docs/native.md of flexi.
const std = @import("std");

pub const Header = extern struct {
    name_ptr: [*]const u8,
    name_len: usize,
    value_ptr: [*]const u8,
    value_len: usize,

    pub fn init(header_name: []const u8, header_value: []const u8) Header {
        return .{
            .name_ptr = header_name.ptr,
            .name_len = header_name.len,
            .value_ptr = header_value.ptr,
            .value_len = header_value.len,
        };
    }

    pub fn name(self: Header) []const u8 {
        return self.name_ptr[0..self.name_len];
    }

    pub fn value(self: Header) []const u8 {
        return self.value_ptr[0..self.value_len];
    }
};

pub const Request = extern struct {
    target_ptr: [*]const u8,
    target_len: usize,
    method_ptr: [*:0]const u8,
    method_len: usize,
    body_ptr: [*]const u8,
    body_len: usize,
    headers_ptr: [*]const Header,
    headers_len: usize,

    /// A request of your own, for tests.
    pub fn of(verb: [:0]const u8, path_and_query: []const u8, fields: []const Header, content: []const u8) Request {
        return .{
            .target_ptr = path_and_query.ptr,
            .target_len = path_and_query.len,
            .method_ptr = verb.ptr,
            .method_len = verb.len,
            .body_ptr = content.ptr,
            .body_len = content.len,
            .headers_ptr = fields.ptr,
            .headers_len = fields.len,
        };
    }

    /// Path and query as sent.
    pub fn target(self: Request) []const u8 {
        return self.target_ptr[0..self.target_len];
    }

    /// The target up to its query.
    pub fn path(self: Request) []const u8 {
        const whole = self.target();
        return whole[0 .. std.mem.indexOfScalar(u8, whole, '?') orelse whole.len];
    }

    pub fn method(self: Request) []const u8 {
        return self.method_ptr[0..self.method_len];
    }

    pub fn body(self: Request) []const u8 {
        return self.body_ptr[0..self.body_len];
    }

    pub fn headers(self: Request) []const Header {
        return self.headers_ptr[0..self.headers_len];
    }

    /// The first header of this name, in any case.
    pub fn header(self: Request, wanted: []const u8) ?[]const u8 {
        for (self.headers()) |field| {
            if (std.ascii.eqlIgnoreCase(field.name(), wanted)) return field.value();
        }
        return null;
    }
};

/// What flexi reads. Pointers may stay undefined where their length is 0.
pub const RawResponse = extern struct {
    body_ptr: [*]const u8 = undefined,
    body_len: usize = 0,
    headers_ptr: [*]const Header = undefined,
    headers_len: usize = 0,
    status: usize = 0,
    reason_ptr: [*]const u8 = undefined,
    reason_len: usize = 0,
};

/// What a handler fills in. It may point to constants and to the allocator's memory.
pub const Response = struct {
    /// 0 is 200.
    status: u16 = 0,
    headers: []const Header = &.{},
    body: []const u8 = "",
};

comptime {
    std.debug.assert(@sizeOf(Header) == 32);
    std.debug.assert(@sizeOf(Request) == 64);
    std.debug.assert(@sizeOf(RawResponse) == 56);
}

/// Memory of the request that this thread answers. It is one of several threads.
threadlocal var arena = std.heap.ArenaAllocator.init(std.heap.page_allocator);
threadlocal var raw: RawResponse = .{};

const Handler = fn (std.mem.Allocator, Request, *Response) anyerror!void;

/// Runs a handler. An error is status 500, unless the handler has set another, with the body as far as it came and no headers.
pub fn serve(request: *const Request, handler: Handler) *RawResponse {
    var response: Response = .{};
    handler(arena.allocator(), request.*, &response) catch {
        if (response.status == 0 or response.status == 200) response.status = 500;
        response.headers = &.{};
    };
    raw = .{
        .body_ptr = response.body.ptr,
        .body_len = response.body.len,
        .headers_ptr = response.headers.ptr,
        .headers_len = response.headers.len,
        .status = response.status,
    };
    return &raw;
}

/// flexi calls this on the same thread once it has copied the response.
export fn request_deinit() void {
    _ = arena.reset(.{ .retain_with_limit = 1024 * 1024 });
}
