// An upstream in memory that answers FETCH, in any cuts, and a client that reads what the proxy makes of it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "../mapping/store_world.h"
#include "../net/test_streams.h"
#include "proxy/fetch/fetch.h"
#include "proxy/imap/core.h"

namespace kage::proxy::test {

/// One message of the upstream: sections are what BODY[section] gives.
struct FakeMessage {
  std::uint32_t uid = 0;
  std::map<std::string, std::string> sections;
  std::string envelope = "NIL";
  std::string structure = "NIL";
};

/// Answers FETCH and UID FETCH of what it was asked, item by item in that order. `script` may answer instead.
class FakeUpstream final : public net::Stream {
 public:
  explicit FakeUpstream(net::Loop& loop) : transcript(std::make_shared<net::testing::Transcript>(loop)) {}

  std::vector<FakeMessage> messages;
  std::size_t cut = SIZE_MAX;  ///< octets of one read
  std::vector<std::string> commands;
  std::uint64_t octets_asked = 0;  ///< of literals
  std::function<std::optional<std::string>(std::string_view tag, std::string_view command)> script;
  std::function<std::string(std::uint32_t number)> before;  ///< said ahead of each FETCH response
  std::shared_ptr<net::testing::Transcript> transcript;

  net::Task<Result<std::string_view>> read() override { return stream_.read(); }
  net::Task<Result<>> write(std::string_view data) override;
  net::Task<Result<>> shutdown() override { return stream_.shutdown(); }
  void close() override { stream_.close(); }
  void set_deadline(std::optional<net::TimePoint> at) override { stream_.set_deadline(at); }
  net::Loop& loop() override { return stream_.loop(); }

 private:
  void answer(std::string_view line);
  std::string response(std::uint32_t number, std::string_view items);

  net::testing::MemoryStream stream_{transcript};
};

/// What a client understands of one item.
struct Told {
  std::uint32_t number = 0;
  std::string name;
  std::string value;  ///< octets of a literal, else the value as it stands
  bool literal = false;
};

/// One worker with a real Redis, a school, and one session of its officer.
class FetchRig {
 public:
  FetchRig();

  /// Runs "FETCH 1 (UID)" or "UID FETCH …"; the status, or the error's name with a '!'.
  std::string run(std::string_view command);
  /// What the client got since the last run.
  [[nodiscard]] const std::string& raw() const { return raw_; }
  /// All items of all FETCH responses of the last run. Fails the test when they are not IMAP.
  [[nodiscard]] std::vector<Told> told() const;
  /// The literal or value of the one item of this name; fails the test when there is not exactly one.
  [[nodiscard]] std::string value(std::string_view name) const;
  /// The visible form of a whole message.
  std::string visible(std::string_view message);

  mapping::test::Node& node;
  FakeUpstream upstream;
  mapping::HeaderView view;
  std::shared_ptr<net::testing::Transcript> client_transcript;
  net::testing::MemoryStream client;
  net::BufferedReader client_reader;
  ClientOut out;
  ImapReader in;
  ImapCore core;
  FetchMemory memory;

 private:
  std::string raw_;
};

/// A message with its sections: header, text, and parts of a multipart.
FakeMessage fake_message(std::uint32_t uid, std::string_view header, std::string_view body);

inline constexpr std::string_view kStranger = "hanako.canary@real-person.example";
inline const std::string kMultipart = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b1\r\n";

/// A header as it was delivered, from kStranger; `more`: further fields.
std::string header(std::string_view more = "");
/// The body of a multipart with boundary b1: text, and a message with that header.
std::string nested_body();
/// Both together, with ENVELOPE, BODYSTRUCTURE and sections.
FakeMessage nested_message(std::uint32_t uid);
/// Whether anything of the stranger's address shows.
bool leaks(std::string_view text);

}  // namespace kage::proxy::test
