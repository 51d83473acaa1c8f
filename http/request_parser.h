// HTTP/1.1 requests, read by llhttp (RFC 9112): any cut of the input, bounded.
//
// Strict: what two readers could understand differently is refused (both lengths, bare LF, spaces before
// ':', other transfer codings than chunked, trailers).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kage::http {

struct Request {
  std::string method;                                       ///< "GET"
  std::string target;                                       ///< as sent, with its query
  std::vector<std::pair<std::string, std::string>> fields;  ///< names in lower case
  bool keep_alive = false;

  /// The first field of this name (lower case), or null.
  [[nodiscard]] const std::string* find(std::string_view name) const;
  [[nodiscard]] std::size_t count(std::string_view name) const;
};

class RequestParser {
 public:
  static constexpr std::size_t kMaxHeader = 8192;  ///< octets of request line and header section together

  enum class Content : std::uint8_t { refused, taken };
  explicit RequestParser(Content content = Content::refused);
  ~RequestParser();
  RequestParser(const RequestParser&) = delete;
  RequestParser& operator=(const RequestParser&) = delete;

  enum class Status : std::uint8_t {
    more,        ///< all of the input was taken; the request is not complete
    complete,    ///< `request()` holds it; the input after `consumed` is the next request's
    malformed,   ///< 400
    too_large,   ///< 431
    has_content  ///< 413: content where it is refused
  };
  struct Step {
    Status status = Status::more;
    std::size_t consumed = 0;
  };
  /// After anything but `more` and `complete` the connection is to be closed.
  Step feed(std::string_view input);

  [[nodiscard]] const Request& request() const;
  /// The header section is complete; with Content::taken its content may still have to come.
  [[nodiscard]] bool has_header() const;
  /// Octets of content, without chunk framing, that the last feed() brought: never more than its input.
  [[nodiscard]] std::string_view content() const;
  /// Makes ready for the next request of the connection.
  void reset();
  /// No octet of a request has come yet.
  [[nodiscard]] bool idle() const;

 private:
  struct State;
  const Content content_;
  std::unique_ptr<State> state_;
};

}  // namespace kage::http
