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

/// The defaults are those of the settings table.
struct FormOptions {
  /// Web origins whose pages may post, and to which a visitor may be redirected; "*" alone: any page, no
  /// redirects.
  std::vector<std::string> origins;
  std::size_t max_size = 10u << 20;    ///< octets of one post
  unsigned max_files = 5;              ///< of one post
  std::size_t max_memory = 64u << 20;  ///< octets of all posts of a worker
  std::size_t max_connections = 500;   ///< of a worker
  bool require_token = true;
  net::Millis min_time{3'000};           ///< from opening a form to its post: faster is no person
  net::Millis max_time{12 * 3'600'000};  ///< how long a token is good for
  net::Millis rate_window{3'600'000};    ///< what the next three count in
  unsigned rate_network = 30;            ///< posts from one /24 or /56
  unsigned rate_address = 200;           ///< posts to one public address
  unsigned rate_email = 5;               ///< codes to one visitor's address
  net::Millis content_timeout{60'000};   ///< for a post to arrive, beside 1 s for each 8 kB
  net::Millis delivery_timeout{50'000};  ///< for the next hops; then the visitor is asked to try again
  std::vector<net::Network> proxies;     ///< whose X-Forwarded-For tells the visitor's address
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
