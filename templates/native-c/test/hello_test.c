/* Calls the library as flexi would, without flexi. Run it with `make test`. */
#undef NDEBUG
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "flexi.h"

#define TEXT(literal) (uint8_t *)(literal), sizeof(literal) - 1

static FlexiResponse *ask(FlexiHeader *headers, size_t count) {
    return handle_request(&(FlexiRequest){
        .target = (const uint8_t *)"/",
        .target_len = 1,
        .method = "GET",
        .method_len = 3,
        .body = (uint8_t *)"",
        .headers = headers,
        .headers_len = count,
    });
}

static int says(const FlexiResponse *response, const char *text) {
    return response->body_len == strlen(text) && memcmp(response->body, text, response->body_len) == 0;
}

static void test_counts_headers(void) {
    FlexiHeader headers[] = {{TEXT("Accept"), TEXT("*/*")}};
    FlexiResponse *response = ask(headers, 1);
    assert(response->status == 0 && response->headers_len == 1);
    assert(says(response, " 1"));
    request_deinit();
}

static void test_host_comes_first(void) {
    FlexiHeader headers[] = {{TEXT("x-throw"), TEXT("")}, {TEXT("Host"), TEXT("iam.example")}};
    assert(says(ask(headers, 2), "iam response"));
    request_deinit();
}

static void test_fails_with_what_was_logged(void) {
    FlexiHeader headers[] = {
        {TEXT("x-log-this"), TEXT("I am a teapot")}, {TEXT("X-THROW"), TEXT("")}, {TEXT("x-status"), TEXT("418")}};
    FlexiResponse *response = ask(headers, 2);
    assert(response->status == 500 && says(response, "I am a teapot"));
    request_deinit();
    response = ask(headers, 3);
    assert(response->status == 418 && response->headers_len == 0);
    request_deinit();
}

static void test_status_is_a_number(void) {
    FlexiHeader headers[] = {{TEXT("x-status"), TEXT("teapot")}};
    assert(ask(headers, 1)->status == 500);
    request_deinit();
}

int main(void) {
    test_counts_headers();
    test_host_comes_first();
    test_fails_with_what_was_logged();
    test_status_is_a_number();
    puts("all passed");
    return 0;
}
