// One worker of `serve`: everything that one loop needs to take mail, made and destroyed on that loop's
// thread.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "app/config.h"
#include "app/form_service.h"
#include "http/server.h"
#include "mapping/store/directory.h"
#include "mapping/visible/header.h"
#include "net/listener.h"
#include "net/login_throttle.h"
#include "provider/providers.h"
#include "proxy/sessions.h"
#include "submission/local_mail.h"
#include "submission/sessions.h"
#include "tls/server_context.h"

namespace kage::app {

/// What all workers share; outlives them.
struct Shared {
  const Config& config;
  net::RedisOptions redis;
  std::shared_ptr<tls::ServerContext> tls;  ///< null: no certificate is configured
  mapping::SharedRoutes routes;
  provider::Providers providers;
  net::LoginThrottle throttle;
  submission::SessionOptions form_session;  ///< as config.session, with a web form's time for delivery
  FormRates form_rates;
};

class ServeWorker {
 public:
  /// `first`: this one watches Redis for all of them and serves HTTP.
  ServeWorker(net::Loop& loop, Shared& shared, bool first);
  ~ServeWorker();
  ServeWorker(const ServeWorker&) = delete;
  ServeWorker& operator=(const ServeWorker&) = delete;

  /// Binds every listener of the configuration. `ports`: the real ports, in the order of the configuration;
  /// where one is 0 any free port is taken and written there. The error names address and port.
  Result<> listen(std::vector<std::uint16_t>& ports);

  /// Stops accepting, lets transactions in flight end until `deadline`, and ends everything. Nothing of this
  /// worker runs any more when it resolves.
  net::Task<void> stop(net::TimePoint deadline);

  [[nodiscard]] net::Loop& loop() { return loop_; }

 private:
  void accept(ListenConfig::Face face, net::StreamPtr stream, net::PeerAddress peer);
  void on_routes_changed();
  [[nodiscard]] http::Response respond(const http::Request& request) const;
  static net::Task<void> watch(ServeWorker& self);

  net::Loop& loop_;
  Shared& shared_;
  bool first_;
  bool stopping_ = false;
  net::Redis redis_;
  mapping::Directory directory_;
  submission::NextHops hops_;
  submission::Authenticator authenticator_;
  submission::Sessions sessions_;
  mapping::HeaderView view_;
  proxy::Sessions proxy_sessions_;
  http::Server http_;
  submission::LocalMail form_mail_;
  FormService form_;
  http::Server form_http_;
  std::vector<std::unique_ptr<net::Listener>> listeners_;
  net::Event watch_ended_;
};

}  // namespace kage::app
