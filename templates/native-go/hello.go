package main

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// A library has no use for main, but -buildmode=c-shared asks for one.
func main() {}

var errAskedToFail = errors.New("asked to fail")

// handle answers one request. Several threads call it at once.
func handle(request *Request, response *Response) error {
	if host, _ := request.Header("host"); strings.HasPrefix(host, "iam") {
		response.Body = []byte("iam response")
		return nil
	}
	if value, ok := request.Header("x-slow"); ok {
		// Other requests are answered meanwhile, on other threads.
		time.Sleep(time.Duration(number(value, 32, 1000)) * time.Millisecond)
		response.Body = []byte("i am slow\n\n")
		return nil
	}
	if text, ok := request.Header("x-log-this"); ok {
		response.Body = []byte(text)
	}
	if value, ok := request.Header("x-status"); ok {
		response.Status = int(number(value, 10, 500))
	}
	if _, ok := request.Header("x-throw"); ok {
		return errAskedToFail
	}
	response.Body = append(response.Body, " "+strconv.Itoa(len(request.Headers))...)
	response.Headers = []Header{{"X-custom-foo", "bar"}}
	return nil
}

// number reads text as an unsigned number of so many bits.
func number(text string, bits int, otherwise uint64) uint64 {
	if value, err := strconv.ParseUint(text, 10, bits); err == nil {
		return value
	}
	return otherwise
}
