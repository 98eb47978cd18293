#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "flexi.h"

static FlexiResponse *request(const char *target, const char *body) {
    return handle_request(&(FlexiRequest){
        .target = (const uint8_t *)target,
        .target_len = strlen(target),
        .method = "GET",
        .method_len = 3,
        .body = (uint8_t *)body,
        .body_len = strlen(body),
    });
}

static int says(const FlexiResponse *response, const char *text) {
    return response->body_len == strlen(text) && memcmp(response->body, text, response->body_len) == 0;
}

int main(void) {
    assert(request("/", "")->status == 200);
    assert(says(request("/echo?x=1", "body"), "GET /echo?x=1\nbody"));
    request_deinit();
    assert(request("/fail", "") == NULL);
    puts("all passed");
    return 0;
}
