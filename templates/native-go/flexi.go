package main

// The interface to flexi: flexi.h in Go.

/*
#include <stdlib.h>
#include "flexi.h"

void flexi_hold(void *memory);
*/
import "C"

import (
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"unsafe"
)

// Header is one header field.
type Header struct{ Name, Value string }

// Request is a copy in Go's memory, so it may be kept.
type Request struct {
	Method string
	// Target is path and query as sent.
	Target  string
	Headers []Header
	Body    []byte
}

// Header returns the first header of this name, in any case, and whether there is one.
func (request *Request) Header(name string) (string, bool) {
	for _, header := range request.Headers {
		if strings.EqualFold(header.Name, name) {
			return header.Value, true
		}
	}
	return "", false
}

// Response is what a handler fills in.
type Response struct {
	// Status 0 is 200.
	Status  int
	Headers []Header
	Body    []byte
}

//export handle_request
func handle_request(raw *C.FlexiRequest) *C.FlexiResponse {
	return hold(serve(readRequest(raw)))
}

// serve runs the handler. An error, or a panic, is status 500, unless the handler has set another, with the body as far as it
// came and no headers. A panic that left Go would end the process.
func serve(request *Request) (response *Response) {
	response = &Response{}
	fail := func() {
		if response.Status == 0 || response.Status == 200 {
			response.Status = 500
		}
		response.Headers = nil
	}
	defer func() {
		if reason := recover(); reason != nil {
			fmt.Fprintf(os.Stderr, "panic: %v\n%s", reason, debug.Stack())
			fail()
		}
	}()
	if err := handle(request, response); err != nil {
		fail()
	}
	return response
}

func readRequest(raw *C.FlexiRequest) *Request {
	request := &Request{
		Method:  C.GoStringN(raw.method, C.int(raw.method_len)),
		Target:  text(raw.target, raw.target_len),
		Headers: make([]Header, raw.headers_len),
		Body:    C.GoBytes(unsafe.Pointer(raw.body), C.int(raw.body_len)),
	}
	for i, header := range unsafe.Slice(raw.headers, raw.headers_len) {
		request.Headers[i] = Header{text(header.name, header.name_len), text(header.value, header.value_len)}
	}
	return request
}

func text(start *C.uint8_t, length C.size_t) string {
	return C.GoStringN((*C.char)(unsafe.Pointer(start)), C.int(length))
}

// hold copies the response into one block of C memory: Go's may move and be collected, and C may not keep pointers into it.
// The block stays with this thread until request_deinit, in hold.c.
func hold(response *Response) *C.FlexiResponse {
	size := len(response.Body)
	for _, header := range response.Headers {
		size += len(header.Name) + len(header.Value)
	}
	head := int(unsafe.Sizeof(C.FlexiResponse{})) + len(response.Headers)*int(unsafe.Sizeof(C.FlexiHeader{}))
	block := C.malloc(C.size_t(head + size))
	rest := unsafe.Slice((*byte)(unsafe.Add(block, head)), size)
	put := func(content []byte) (*C.uint8_t, C.size_t) {
		start := (*C.uint8_t)(unsafe.SliceData(rest))
		rest = rest[copy(rest, content):]
		return start, C.size_t(len(content))
	}

	raw := (*C.FlexiResponse)(block)
	*raw = C.FlexiResponse{status: C.size_t(response.Status), headers_len: C.size_t(len(response.Headers))}
	raw.headers = (*C.FlexiHeader)(unsafe.Add(block, unsafe.Sizeof(*raw)))
	fields := unsafe.Slice(raw.headers, len(response.Headers))
	for i, header := range response.Headers {
		fields[i].name, fields[i].name_len = put([]byte(header.Name))
		fields[i].value, fields[i].value_len = put([]byte(header.Value))
	}
	raw.body, raw.body_len = put(response.Body)
	C.flexi_hold(block)
	return raw
}
