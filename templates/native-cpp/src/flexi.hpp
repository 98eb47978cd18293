// What flexi.h says, in C++: requests as views, responses that own what they hold. See docs/native.md of flexi.
#pragma once

#include <algorithm>
#include <cctype>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "flexi.h"

namespace flexi {

/** A request. It looks at flexi's memory, which is gone after the call: copy what is to be kept. */
class Request {
public:
    explicit Request(const FlexiRequest &raw) : raw_(raw) {}

    std::string_view method() const { return {raw_.method, raw_.method_len}; }
    /** Path and query as sent. */
    std::string_view target() const { return text(raw_.target, raw_.target_len); }
    std::string_view body() const { return text(raw_.body, raw_.body_len); }
    std::size_t header_count() const { return raw_.headers_len; }

    /** The first header of this name, in any case. */
    std::optional<std::string_view> header(std::string_view name) const {
        for (std::size_t i = 0; i < raw_.headers_len; i++) {
            const FlexiHeader &header = raw_.headers[i];
            if (same(text(header.name, header.name_len), name)) return text(header.value, header.value_len);
        }
        return std::nullopt;
    }

private:
    static std::string_view text(const std::uint8_t *start, std::size_t length) {
        return {reinterpret_cast<const char *>(start), length};
    }

    static bool same(std::string_view a, std::string_view b) {
        const auto lower = [](unsigned char c) { return std::tolower(c); };
        return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                          [&](char x, char y) { return lower(x) == lower(y); });
    }

    const FlexiRequest &raw_;
};

struct Response {
    /** 0 is 200. */
    unsigned status = 0;
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body;
};

/** The response of a thread, and the pointers into it that flexi follows. */
class Held {
public:
    FlexiResponse *keep(Response response) {
        response_ = std::move(response);
        fields_.clear();
        for (auto &[name, value] : response_.headers)
            fields_.push_back({bytes(name), name.size(), bytes(value), value.size()});
        raw_ = FlexiResponse{};
        raw_.body = bytes(response_.body);
        raw_.body_len = response_.body.size();
        raw_.headers = fields_.data();
        raw_.headers_len = fields_.size();
        raw_.status = response_.status;
        return &raw_;
    }

    void release() { response_ = {}; }

private:
    static std::uint8_t *bytes(std::string &text) { return reinterpret_cast<std::uint8_t *>(text.data()); }

    Response response_;
    std::vector<FlexiHeader> fields_;
    FlexiResponse raw_{};
};

/** Several threads answer requests at the same time: each holds its own until `request_deinit`. */
inline Held &held() {
    thread_local Held own;
    return own;
}

/**
 * Runs a handler `void(const Request &, Response &)`. An exception may not leave a C function: it is status 500, unless the handler
 * has set another, with the body as far as it came and no headers. Without memory it is NULL, which flexi answers with 500.
 */
template <typename Handler>
FlexiResponse *serve(const FlexiRequest &raw, Handler handler) noexcept {
    try {
        Response response;
        try {
            handler(Request(raw), response);
        } catch (...) {
            if (response.status == 0 || response.status == 200) response.status = 500;
            response.headers.clear();
        }
        return held().keep(std::move(response));
    } catch (...) {
        return nullptr;
    }
}

} // namespace flexi
