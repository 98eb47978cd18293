#include <charconv>
#include <chrono>
#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>

#include "flexi.hpp"

namespace {

/** The whole of `text` as a number up to `most`; `otherwise` when it is none. */
unsigned long number(std::string_view text, unsigned long most, unsigned long otherwise) {
    unsigned long value = 0;
    const char *end = text.data() + text.size();
    const auto [stopped, error] = std::from_chars(text.data(), end, value);
    return error == std::errc{} && stopped == end && value <= most ? value : otherwise;
}

/** Answers one request. Several threads call it at once. */
void handle(const flexi::Request &request, flexi::Response &response) {
    if (const auto host = request.header("host"); host && host->substr(0, 3) == "iam") {
        response.body = "iam response";
        return;
    }
    if (const auto slow = request.header("x-slow")) {
        // Other requests are answered meanwhile, on other threads.
        const auto most = static_cast<unsigned long>(std::numeric_limits<int>::max());
        std::this_thread::sleep_for(std::chrono::milliseconds(number(*slow, most, 1000)));
        response.body = "i am slow\n\n";
        return;
    }
    if (const auto text = request.header("x-log-this")) response.body = *text;
    if (const auto status = request.header("x-status"))
        response.status = static_cast<unsigned>(number(*status, 1023, 500));
    if (request.header("x-throw")) throw std::runtime_error("asked to fail");
    response.body += " " + std::to_string(request.header_count());
    response.headers.emplace_back("X-custom-foo", "bar");
}

} // namespace

// flexi.h declares both extern "C": a mangled name would not be found.

FlexiResponse *handle_request(FlexiRequest *request) { return flexi::serve(*request, handle); }

// On the thread that answered, once flexi has copied the response.
void request_deinit() { flexi::held().release(); }
