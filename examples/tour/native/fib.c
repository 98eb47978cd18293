#include "flexi.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* GET /fib/30 answers the thirtieth Fibonacci number. One buffer a thread: it is valid until request_deinit. */
static _Thread_local char body[128];
static _Thread_local FlexiResponse response;

static unsigned long long fibonacci(unsigned n) { return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2); }

FlexiResponse *handle_request(FlexiRequest *request) {
  unsigned n = 20;
  const char *prefix = "/fib/";
  if (request->target_len > strlen(prefix) && memcmp(request->target, prefix, strlen(prefix)) == 0) {
    char digits[8] = {0};
    size_t length = request->target_len - strlen(prefix);
    memcpy(digits, request->target + strlen(prefix), length < 7 ? length : 7);
    n = (unsigned)strtoul(digits, NULL, 10);
  }
  if (n > 40) n = 40;
  memset(&response, 0, sizeof response);
  response.body_len = (size_t)snprintf(body, sizeof body, "fib(%u) = %llu\n", n, fibonacci(n));
  response.body = (unsigned char *)body;
  return &response;
}
