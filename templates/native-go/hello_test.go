package main

import "testing"

// Calls the handler as flexi would, without flexi. Run it with `go test`.
func TestAnswers(t *testing.T) {
	log, fail := Header{"x-log-this", "I am a teapot"}, Header{"X-THROW", "1"}
	for _, row := range []struct {
		name    string
		headers []Header
		status  int
		body    string
	}{
		{"counts headers", []Header{{"Accept", "*/*"}}, 0, " 1"},
		{"the host comes first", []Header{fail, {"Host", "iam.example"}}, 0, "iam response"},
		{"does not sleep without need", []Header{{"x-slow", "0"}}, 0, "i am slow\n\n"},
		{"fails with what was logged", []Header{log, fail}, 500, "I am a teapot"},
		{"fails with its own status", []Header{log, fail, {"x-status", "418"}}, 418, "I am a teapot"},
		{"a status is a number", []Header{{"x-status", "teapot"}}, 500, " 1"},
	} {
		t.Run(row.name, func(t *testing.T) {
			response := serve(&Request{Method: "GET", Target: "/", Headers: row.headers})
			if response.Status != row.status || string(response.Body) != row.body {
				t.Errorf("got %d %q, want %d %q", response.Status, response.Body, row.status, row.body)
			}
		})
	}
}
