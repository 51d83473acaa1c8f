// What the session tests share: a gateway of one worker on the test's loop, with a real Redis, a scripted
// next hop, and one client on a socketpair.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "../net/real_redis.h"
#include "delivery_rig.h"
#include "mapping/store/directory.h"
#include "smtp_sink.h"
#include "submission/auth.h"
#include "submission/sessions.h"
#include "tests/temporary_folder.h"

namespace kage::submission::test {

inline constexpr std::string_view kPassword = "correct horse";
/// Of kPassword, with the least costs that are allowed.
inline constexpr std::string_view kPasswordHash =
    "$scrypt$ln=10,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$6g3umF+uVrJsObaTZhIbbTlgrvOEFcCItdwSjtPF67M";

/// pta@school.example with officer@gmail.example and Taro@docomo.example; office@school.example with the
/// officer.
mapping::RouteSpec school();

/// Redis with the school's routes, started once for all tests of a program.
struct School {
  School();
  static School& instance();

  net::testing::RealRedis redis;
  kage::test::TemporaryFolder folder;  ///< master.key, cert.pem, key.pem
  [[nodiscard]] std::string key_file() const { return folder.path() + "/master.key"; }
};

class SessionRig {
 public:
  SessionRig();
  ~SessionRig();
  SessionRig(const SessionRig&) = delete;
  SessionRig& operator=(const SessionRig&) = delete;

  /// The client's end of a new connection. Options must be set before the first.
  net::StreamPtr connect(Face face, std::string ip = "192.0.2.1");

  /// A member's phantom for a correspondent, stored as an inward message would have done.
  std::string phantom(std::string_view mailbox, std::string_view correspondent,
                      std::string_view address = "pta@school.example");
  const mapping::Member& member(std::string_view mailbox, std::string_view address = "pta@school.example");

  net::Loop loop;
  net::Redis redis;
  mapping::SharedRoutes shared;
  mapping::Directory directory;
  SessionOptions options;
  std::shared_ptr<SmtpSink> sink;
  std::unique_ptr<NextHops> hops;
  provider::Providers providers;
  Authenticator authenticator;
  net::LoginThrottle throttle;
  std::shared_ptr<tls::ServerContext> tls;
  std::unique_ptr<Sessions> sessions;
  mapping::Routes routes;
};

}  // namespace kage::submission::test
