// An IMAP server with one mailbox, for tests of searching: it answers SEARCH, SORT and FETCH as a server does
// that knows nothing of phantoms, by plain substrings.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "../net/test_streams.h"
#include "net/stream.h"

namespace kage::proxy::test {

struct StoredMessage {
  std::uint32_t uid;
  std::string octets;
};

class FakeMailbox final : public net::Stream {
 public:
  FakeMailbox(net::Loop& loop, std::vector<StoredMessage> messages);

  net::Task<Result<std::string_view>> read() override;
  net::Task<Result<>> write(std::string_view data) override;
  net::Task<Result<>> shutdown() override;
  void close() override;
  void set_deadline(std::optional<net::TimePoint> at) override;
  net::Loop& loop() override;

  std::vector<std::string> commands;  ///< without their tags
  std::string beside;                 ///< untagged responses that come before the next answer
  bool body_without_headers = false;  ///< BODY finds nothing that looks like a field
  bool rev2 = false;                  ///< answers SEARCH by ESEARCH

 private:
  void run(std::string_view line);
  std::string answer(std::string_view tag, std::string_view command);
  std::string search(std::string_view tag, std::string_view command);
  std::string fetch(std::string_view command);

  std::vector<StoredMessage> messages_;
  net::testing::MemoryStream out_;
  std::string pending_;
};

}  // namespace kage::proxy::test
