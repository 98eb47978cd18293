// Go has no thread-local variables, and a goroutine may move to another thread: the memory of the response that a thread has
// given to flexi is kept here. For one request, handle_request and request_deinit run on one thread.
#include <stdlib.h>

#include "flexi.h"

static _Thread_local void *held;

void flexi_hold(void *memory) {
    held = memory;
}

// Once flexi has copied the response.
void request_deinit(void) {
    free(held);
    held = NULL;
}
