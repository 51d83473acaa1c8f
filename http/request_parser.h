// HTTP/1.1 requests without bodies, read by llhttp (RFC 9112): any cut of the input, bounded.
//
// Strict: what two readers could understand differently is refused (both lengths, bare LF, spaces before
// ':').
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
};

class RequestParser {
 public:
  static constexpr std::size_t kMaxHeader = 8192;  ///< octets of request line and header section together

  RequestParser();
  ~RequestParser();
  RequestParser(const RequestParser&) = delete;
  RequestParser& operator=(const RequestParser&) = delete;

  enum class Status : std::uint8_t {
    more,        ///< all of the input was taken; the request is not complete
    complete,    ///< `request()` holds it; the input after `consumed` is the next request's
    malformed,   ///< 400
    too_large,   ///< 431
    has_content  ///< 413: this server takes no content
  };
  struct Step {
    Status status = Status::more;
    std::size_t consumed = 0;
  };
  /// After anything but `more` and `complete` the connection is to be closed.
  Step feed(std::string_view input);

  [[nodiscard]] const Request& request() const;
  /// Makes ready for the next request of the connection.
  void reset();
  /// No octet of a request has come yet.
  [[nodiscard]] bool idle() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace kage::http
