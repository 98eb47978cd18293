#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "flexi.h"

/*
 * Several threads answer requests at the same time: what belongs to one request is thread-local.
 * It has to last until request_deinit.
 */
static _Thread_local FlexiResponse response;
static _Thread_local FlexiHeader headers[1];
static _Thread_local char *text;

static FlexiResponse *answer(size_t status, const char *body, size_t length) {
    headers[0] = (FlexiHeader){(uint8_t *)"x-powered-by", 12, (uint8_t *)"C", 1};
    response = (FlexiResponse){
        .status = status, .body = (uint8_t *)body, .body_len = length, .headers = headers, .headers_len = 1};
    return &response;
}

static int is_path(const FlexiRequest *request, const char *path) {
    size_t length = strlen(path);
    return request->target_len >= length && memcmp(request->target, path, length) == 0 &&
           (request->target_len == length || request->target[length] == '?');
}

/* The request as it came in. */
static FlexiResponse *echo(const FlexiRequest *request) {
    size_t size = request->method_len + request->target_len + request->body_len + 3;
    text = malloc(size);
    if (text == NULL) return NULL;
    int length = snprintf(text, size, "%s %.*s\n", request->method, (int)request->target_len, request->target);
    memcpy(text + length, request->body, request->body_len);
    return answer(200, text, (size_t)length + request->body_len);
}

/* Other requests are answered meanwhile, on other threads. */
static FlexiResponse *slow(void) {
    nanosleep(&(struct timespec){.tv_nsec = 500 * 1000 * 1000}, NULL);
    return answer(200, "slept\n", 6);
}

FlexiResponse *handle_request(FlexiRequest *request) {
    static const char hello[] = "Hello from {{name}}!\n";
    if (is_path(request, "/echo")) return echo(request);
    if (is_path(request, "/sleep")) return slow();
    /* NULL is 500, and a report in the terminal. */
    if (is_path(request, "/fail")) return NULL;
    return answer(200, hello, sizeof hello - 1);
}

void request_deinit(void) {
    free(text);
    text = NULL;
}
