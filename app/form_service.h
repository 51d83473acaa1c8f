// Web forms: what comes by HTTP for a public address and goes on as mail (`POST /form/<address>`), the tokens
// (`GET /form/<address>/token`) and a page for visitors without scripts (`GET /form/<address>`).
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "http/server.h"
#include "mapping/store/directory.h"
#include "net/cidr.h"
#include "net/rate_limit.h"
#include "submission/local_mail.h"

namespace kage::app {

struct FormOptions {
  std::vector<std::string> origins;  ///< that may post and be gone on to; "*" alone: all may post
  std::size_t max_size = 10u << 20;  ///< octets of one post
  unsigned max_files = 5;
  std::size_t max_memory = 64u << 20;  ///< octets of all posts of a worker
  std::size_t max_connections = 500;   ///< of a worker
  bool require_token = true;
  net::Millis min_time{3'000};
  net::Millis max_time{12 * 3'600'000};
  net::Millis rate_window{3'600'000};
  unsigned rate_network = 30;
  unsigned rate_address = 200;
  unsigned rate_email = 5;
  net::Millis content_timeout{60'000};
  net::Millis delivery_timeout{50'000};
  std::vector<net::Network> proxies;
};

/// What all workers count together.
struct FormRates {
  explicit FormRates(const FormOptions& options)
      : networks({options.rate_network, options.rate_window, 100'000}),
        addresses({options.rate_address, options.rate_window, 100'000}),
        emails({options.rate_email, options.rate_window, 100'000}) {}
  net::RateLimit networks, addresses, emails;
};

/// One worker's. Everything it is given outlives it, and it outlives its exchanges.
class FormService {
 public:
  FormService(net::Loop& loop, mapping::Directory& directory, submission::LocalMail& mail,
              const FormOptions& options, FormRates& rates)
      : loop_(loop), directory_(directory), mail_(mail), options_(options), rates_(rates) {}

  std::unique_ptr<http::Exchange> exchange(const http::Request& request, const net::PeerAddress& peer,
                                           bool tls);

  [[nodiscard]] http::ServerOptions server_options() const;

 private:
  class Exchange;

  net::Loop& loop_;
  mapping::Directory& directory_;
  submission::LocalMail& mail_;
  const FormOptions& options_;
  FormRates& rates_;
  std::size_t held_ = 0;  // octets of content in all exchanges
};

}  // namespace kage::app
