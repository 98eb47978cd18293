#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "flexi.h"

/*
 * What flexi reads after handle_request has returned: it has to last until request_deinit. Several threads answer
 * requests at the same time, so each has its own.
 */
static _Thread_local FlexiResponse response;
static _Thread_local FlexiHeader custom_header;
static _Thread_local char *body;

static FlexiResponse *say(char *text, size_t length) {
    response.body = (uint8_t *)text;
    response.body_len = length;
    return &response;
}

/* The value of the first header of this name, in any case; NULL when there is none. It does not end in a NUL. */
static const FlexiHeader *find_header(const FlexiRequest *request, const char *name) {
    size_t length = strlen(name);
    for (size_t i = 0; i < request->headers_len; i++) {
        const FlexiHeader *header = &request->headers[i];
        if (header->name_len == length && strncasecmp((const char *)header->name, name, length) == 0) return header;
    }
    return NULL;
}

/* A header's value as a number up to `most`; `otherwise` when it is none. strtol would need a NUL at the end. */
static size_t number_in(const FlexiHeader *header, size_t most, size_t otherwise) {
    if (header->value_len == 0) return otherwise;
    size_t number = 0;
    for (size_t i = 0; i < header->value_len; i++) {
        unsigned digit = header->value[i] - (unsigned)'0';
        if (digit > 9 || number > (most - digit) / 10) return otherwise;
        number = number * 10 + digit;
    }
    return number;
}

/* Other requests are answered meanwhile, on other threads. */
static void sleep_ms(size_t milliseconds) {
    struct timespec left = {(time_t)(milliseconds / 1000), (long)(milliseconds % 1000) * 1000000};
    while (nanosleep(&left, &left) != 0) continue;
}

/* x-log-this, and after it what the answer says: how many headers came in. */
static FlexiResponse *answer(const FlexiRequest *request, int failed) {
    const FlexiHeader *log_this = find_header(request, "x-log-this");
    size_t prefix = log_this == NULL ? 0 : log_this->value_len;
    size_t size = prefix + 32;
    /* Allocated here, freed in request_deinit. NULL is answered with 500, and request_deinit is not called for it. */
    body = malloc(size);
    if (body == NULL) return NULL;
    if (prefix > 0) memcpy(body, log_this->value, prefix);
    if (failed) return say(body, prefix);

    custom_header = (FlexiHeader){(uint8_t *)"X-custom-foo", 12, (uint8_t *)"bar", 3};
    response.headers = &custom_header;
    response.headers_len = 1;
    int count = snprintf(body + prefix, size - prefix, " %zu", request->headers_len);
    return say(body, prefix + (size_t)count);
}

FlexiResponse *handle_request(FlexiRequest *request) {
    /* Status 0 is 200, and pointers are not followed where their length is 0. */
    response = (FlexiResponse){0};

    const FlexiHeader *host = find_header(request, "host");
    if (host != NULL && host->value_len >= 3 && memcmp(host->value, "iam", 3) == 0) return say("iam response", 12);

    const FlexiHeader *slow = find_header(request, "x-slow");
    if (slow != NULL) {
        sleep_ms(number_in(slow, SIZE_MAX, 1000));
        return say("i am slow\n\n", 11);
    }

    const FlexiHeader *status = find_header(request, "x-status");
    if (status != NULL) response.status = number_in(status, 1023, 500);
    int failed = find_header(request, "x-throw") != NULL;
    if (failed && (response.status == 0 || response.status == 200)) response.status = 500;
    return answer(request, failed);
}

/* On the thread that answered, once flexi has copied the response. */
void request_deinit(void) {
    free(body);
    body = NULL;
}
