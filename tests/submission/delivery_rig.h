// What the delivery tests share: a loop, a sink, and one delivery from its copies to its results.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "smtp_sink.h"
#include "submission/delivery.h"
#include "submission/hop_pool.h"
#include "tests/temporary_folder.h"

namespace kage::submission::test {

/// Writes cert.pem (self-signed, for `name`, a DNS name or "127.0.0.1") and key.pem into the folder.
void make_certificate(const std::string& folder, const std::string& name);

/// Runs a task on the loop to its end.
void run(net::Loop& loop, net::Task<void> task);

Copy make_copy(std::string_view recipient, std::string header = "Subject: test\r\n");
std::vector<Copy> make_copies(std::size_t count, std::string_view domain = "example.net");
/// Lines of text, some beginning with dots, `size` octets, ending in CRLF.
std::string make_body(std::size_t size);

struct Rig {
  Rig();
  ~Rig();
  Rig(const Rig&) = delete;
  Rig& operator=(const Rig&) = delete;

  /// A hop for `domains` that leads to `to`, with time-outs for tests.
  [[nodiscard]] NextHopOptions hop_to(const SmtpSink& to, std::vector<std::string> domains = {"*"}) const;
  /// Makes `hops` from these.
  void use(std::vector<NextHopOptions> options);

  /// One delivery, its body in chunks of `chunk` octets. Results and served copies are left in the members.
  void deliver(std::vector<Copy> copies, const std::string& body, std::size_t chunk = 64UL * 1024);
  net::Task<void> delivery(std::vector<Copy> copies, std::string body, std::size_t chunk,
                           std::vector<CopyResult>* into);

  net::Loop loop;
  kage::test::TemporaryFolder spool;
  std::shared_ptr<SmtpSink> sink = std::make_shared<SmtpSink>(loop);
  std::unique_ptr<NextHops> hops;
  DeliveryOptions options;
  std::vector<CopyResult> results;
  mutable std::map<std::size_t, int> served;
  net::Event asked;  ///< for scripts that tell a test to go on
};

}  // namespace kage::submission::test
