/*
 * flexi.h: the interface between flexi and a native library.
 *
 * A native function is a shared library (.so, .dylib) that exports `handle_request`. flexi loads it into a
 * process of its own, calls it once per HTTP request, and sends what it returns. C, C++, Rust, Zig, Go: whatever
 * can export a C function will do. The structs are those of FlexiLib, so its libraries run unchanged.
 *
 *     #include "flexi.h"
 *
 *     FLEXI_EXPORT FlexiResponse *handle_request(FlexiRequest *request) {
 *         static _Thread_local FlexiResponse response;
 *         response = (FlexiResponse){ .body = (uint8_t *)"hello\n", .body_len = 6 };
 *         return &response;
 *     }
 *
 *     cc -O2 -fPIC -shared -o libhello.so hello.c
 *
 * Threads: several threads call `handle_request` at the same time (SERVER_THREAD_COUNT of them, or the function's
 * "threads"), so it has to be re-entrant. For one request `zigInit`, `handle_request` and `request_deinit` run on
 * one thread, in this order, with nothing between.
 *
 * Text is never NUL-terminated but where it says so: use the lengths.
 *
 * Version 1. The layout never changes; anything new gets a new symbol.
 */
#ifndef FLEXI_H
#define FLEXI_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32)
#define FLEXI_EXPORT __declspec(dllexport)
#elif defined(__GNUC__) || defined(__clang__)
#define FLEXI_EXPORT __attribute__((visibility("default")))
#else
#define FLEXI_EXPORT
#endif

/** One header field. 32 bytes. */
typedef struct FlexiHeader {
    /** Case as sent. In a response: a token, not empty. */
    uint8_t *name;
    size_t name_len;
    /** Without the blanks around it. In a response: no CR, LF or NUL; bytes beyond ASCII are sent as they are. */
    uint8_t *value;
    size_t value_len;
} FlexiHeader;

/**
 * One request. 64 bytes. All memory it points to belongs to flexi and is valid until `request_deinit` has returned
 * (or `handle_request`, where there is none): keep no pointer.
 */
typedef struct FlexiRequest {
    /** Path and query exactly as sent, neither decoded nor normalised: "/a%2Fb?x=1". */
    const uint8_t *target;
    size_t target_len;
    /** "GET", "POST" …; followed by a NUL that `method_len` does not count. */
    char *method;
    size_t method_len;
    /** The whole body, dechunked, at most 64 MB. Never NULL, also when `body_len` is 0. */
    uint8_t *body;
    size_t body_len;
    /** Every field in the order sent, duplicates included. */
    FlexiHeader *headers;
    size_t headers_len;
} FlexiRequest;

/**
 * One response. 56 bytes. It and all it points to belong to the library: flexi copies what it needs before it calls
 * `request_deinit`, and frees nothing. Static, thread-local or allocated memory are all fine; a thread-local struct
 * is the simplest that is safe with several threads.
 */
typedef struct FlexiResponse {
    /** Looked at only when `body_len` is not 0. HEAD sends its length and not its bytes. */
    uint8_t *body;
    size_t body_len;
    /**
     * Looked at only when `headers_len` is not 0. flexi counts content-length itself, and adds "content-type:
     * text/plain" when there is no content-type.
     */
    FlexiHeader *headers;
    size_t headers_len;
    /** 200 to 999; 0 is 200. */
    size_t status;
    /** The reason phrase. Looked at only when neither `status` nor `reason_len` is 0. */
    uint8_t *reason;
    size_t reason_len;
} FlexiResponse;

/**
 * Required. Answers one request. NULL is an error: the client gets 500, and `request_deinit` is not called.
 * A response that cannot be sent (a header with a line break, status 99) is 500 too, and reported.
 */
FLEXI_EXPORT FlexiResponse *handle_request(FlexiRequest *request);

/**
 * Optional. Called once after each response that is not NULL, on the same thread, when flexi has copied the response
 * and before it is on the wire: the place to free it.
 */
FLEXI_EXPORT void request_deinit(void);

/**
 * Optional, for Zig. Called before each `handle_request` on the same thread, with the address of a `std.mem.Allocator`
 * whose memory lives until after `request_deinit`. The allocator's layout follows the version of Zig: see `flexi_zig_minor`.
 */
FLEXI_EXPORT void zigInit(void *allocator);

/**
 * Optional, for Zig, and not known to FlexiLib. Called once, before the first `zigInit`: the compiler's minor version
 * (13 for 0.13). Without it, and without "zig" in the configuration, it is taken for 13.
 */
FLEXI_EXPORT uint32_t flexi_zig_minor(void);

#if defined(__cplusplus) && __cplusplus >= 201103L
#define FLEXI_ASSERT(condition) static_assert(condition, #condition)
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
#define FLEXI_ASSERT(condition) _Static_assert(condition, #condition)
#else
#define FLEXI_ASSERT(condition) struct flexi_assert
#endif

FLEXI_ASSERT(sizeof(void *) == 8 && sizeof(size_t) == 8);
FLEXI_ASSERT(sizeof(FlexiHeader) == 32);
FLEXI_ASSERT(sizeof(FlexiRequest) == 64);
FLEXI_ASSERT(sizeof(FlexiResponse) == 56);
FLEXI_ASSERT(offsetof(FlexiRequest, headers) == 48);
FLEXI_ASSERT(offsetof(FlexiResponse, status) == 32);

#ifdef __cplusplus
}
#endif

#endif
