// Which of a provider's endpoints is meant.
#include "provider/options.h"

namespace kage::provider {

ServiceEndpoint ProviderOptions::endpoint(Service service) const {
  if (service == Service::imap && !imap.host.empty()) return imap;
  if (service == Service::pop3 && !pop3.host.empty()) return pop3;
  if (service != protocol) return {};
  return login_endpoint();
}

}  // namespace kage::provider
