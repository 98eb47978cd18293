// Calls the library as flexi would, without flexi. Run it with `make test`.
#include <cstdlib>
#include <initializer_list>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "flexi.h"

namespace {

struct Answer {
    std::size_t status;
    std::size_t headers;
    std::string body;
};

std::uint8_t *bytes(std::string &text) { return reinterpret_cast<std::uint8_t *>(text.data()); }

Answer ask(std::vector<std::pair<std::string, std::string>> headers) {
    std::vector<FlexiHeader> fields;
    for (auto &[name, value] : headers) fields.push_back({bytes(name), name.size(), bytes(value), value.size()});
    std::string target = "/", method = "GET", body;
    FlexiRequest request{bytes(target), target.size(), method.data(), method.size(),
                         bytes(body),   body.size(),   fields.data(), fields.size()};
    const FlexiResponse *response = handle_request(&request);
    Answer answer{response->status, response->headers_len,
                  std::string(reinterpret_cast<char *>(response->body), response->body_len)};
    request_deinit();
    return answer;
}

void expect(const char *what, const Answer &got, const Answer &wanted) {
    if (got.status == wanted.status && got.headers == wanted.headers && got.body == wanted.body) return;
    std::cerr << what << ": " << got.status << " '" << got.body << "', " << got.headers << " headers\n";
    std::exit(1);
}

} // namespace

int main() {
    const std::pair<std::string, std::string> log{"x-log-this", "I am a teapot"}, fail{"X-THROW", "1"};
    expect("counts headers", ask({{"Accept", "*/*"}}), {0, 1, " 1"});
    expect("the host comes first", ask({fail, {"Host", "iam.example"}}), {0, 0, "iam response"});
    expect("does not sleep without need", ask({{"x-slow", "0"}}), {0, 0, "i am slow\n\n"});
    expect("fails with what was logged", ask({log, fail}), {500, 0, "I am a teapot"});
    expect("fails with its own status", ask({log, fail, {"x-status", "418"}}), {418, 0, "I am a teapot"});
    expect("a status is a number", ask({{"x-status", "teapot"}}), {500, 1, " 1"});
    std::cout << "all passed\n";
}
