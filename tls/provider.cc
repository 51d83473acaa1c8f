// Which of a provider's endpoints is meant.
#include "tls/provider.h"

namespace kage::tls {

Endpoint ProviderOptions::endpoint(Service service) const {
  if (service == Service::imap && !imap.host.empty()) return imap;
  if (service == Service::pop3 && !pop3.host.empty()) return pop3;
  if (service != protocol) return {};
  return {host, port, starttls, false};
}

}  // namespace kage::tls
