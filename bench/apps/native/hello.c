#include <signal.h>

#include "flexi.h"

/* What it answers is given to the compiler, so that three libraries come from one source. */
#ifndef ANSWER
#define ANSWER "hello"
#endif

static _Thread_local FlexiResponse response;

/* `/!` is a bug. */
FLEXI_EXPORT FlexiResponse *handle_request(FlexiRequest *request) {
  if (request->target_len == 2 && request->target[1] == '!') raise(SIGSEGV);
  response = (FlexiResponse){.body = (uint8_t *)ANSWER, .body_len = sizeof ANSWER - 1};
  return &response;
}
