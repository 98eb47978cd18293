#include "flexi.h"

/* What it answers is given to the compiler, so that three libraries come from one source. */
#ifndef ANSWER
#define ANSWER "hello"
#endif

static _Thread_local FlexiResponse response;

FLEXI_EXPORT FlexiResponse *handle_request(FlexiRequest *request) {
  (void)request;
  response = (FlexiResponse){.body = (uint8_t *)ANSWER, .body_len = sizeof ANSWER - 1};
  return &response;
}
