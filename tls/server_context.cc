// One SSL_CTX for each certificate; the handshake starts on the default one and moves on by server name.
#include "tls/server_context.h"

#include <openssl/x509v3.h>

#include <ctime>
#include <unordered_map>

#include "base/random.h"
#include "base/text.h"
#include "tls/openssl.h"
#include "tls/traffic_secrets.h"

namespace kage::tls {
namespace {

constexpr unsigned char kSessionContext[] = "kagemusha";
constexpr long kTicketSeconds = 2L * 60 * 60;

/// The DNS names of a certificate, lower-case; the common name only when there are none (RFC 6125 §6.4.4).
std::vector<std::string> names_of(X509* certificate) {
  std::vector<std::string> names;
  auto* all =
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(all); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(all, i);
    if (name->type != GEN_DNS) continue;
    const auto* text = reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName));
    names.push_back(lower({text, static_cast<std::size_t>(ASN1_STRING_length(name->d.dNSName))}));
  }
  GENERAL_NAMES_free(all);
  if (names.empty()) {
    char common[256];
    const int size =
        X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, common, sizeof common);
    if (size > 0) names.push_back(lower({common, static_cast<std::size_t>(size)}));
  }
  return names;
}

std::int64_t end_of(const X509* certificate) {
  std::tm end{};
  return ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end) == 1 ? ::timegm(&end) : 0;
}

}  // namespace

struct ServerContext::State {
  std::vector<SslCtxPtr> contexts;
  std::vector<CertificateEnd> ends;
  std::unordered_map<std::string, SSL_CTX*> by_name;  // "mail.example" or "*.example"

  [[nodiscard]] SSL_CTX* find(std::string_view asked) const {
    std::string name = lower(asked);
    if (name.ends_with('.')) name.pop_back();
    if (const auto found = by_name.find(name); found != by_name.end()) return found->second;
    const std::size_t dot = name.find('.');
    if (dot == std::string::npos) return nullptr;
    const auto found = by_name.find("*" + name.substr(dot));
    return found == by_name.end() ? nullptr : found->second;
  }

  static int choose(SSL* ssl, int* /*alert*/, void* self) {
    const char* asked = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    if (asked == nullptr) return SSL_TLSEXT_ERR_NOACK;
    SSL_CTX* context = static_cast<const State*>(self)->find(asked);
    if (context == nullptr) return SSL_TLSEXT_ERR_NOACK;
    if (context != SSL_get_SSL_CTX(ssl)) SSL_set_SSL_CTX(ssl, context);
    return SSL_TLSEXT_ERR_OK;
  }
};

ServerContext::ServerContext(std::vector<CertificateFiles> files, std::string ticket_keys)
    : files_(std::move(files)), ticket_keys_(std::move(ticket_keys)) {}

ServerContext::~ServerContext() = default;

Result<std::shared_ptr<ServerContext>> ServerContext::load(std::vector<CertificateFiles> files) {
  if (files.empty()) return fail(Errc::invalid, "no certificate given");
  const SslCtxPtr probe = make_context(TLS_server_method());
  if (!probe) return fail(Errc::tls, take_reason());
  const long size = SSL_CTX_get_tlsext_ticket_keys(probe.get(), nullptr, 0);
  std::shared_ptr<ServerContext> made(
      new ServerContext(std::move(files), random_bytes(static_cast<std::size_t>(size))));
  const auto loaded = made->reload();
  if (!loaded) return std::unexpected(loaded.error());
  return made;
}

Result<std::shared_ptr<const ServerContext::State>> ServerContext::read_files() const {
  auto state = std::make_shared<State>();
  for (const CertificateFiles& files : files_) {
    SslCtxPtr context = make_context(TLS_server_method());
    if (!context) return fail(Errc::tls, take_reason());
    const auto used = use_certificate(context.get(), files.chain, files.key);
    if (!used) return std::unexpected(used.error());
    SSL_CTX_set_session_id_context(context.get(), kSessionContext, sizeof kSessionContext - 1);
    SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
    SSL_CTX_set_timeout(context.get(), kTicketSeconds);
    SSL_CTX_set_num_tickets(context.get(), 1);
    tell_secrets(context.get());
    std::string keys = ticket_keys_;
    SSL_CTX_set_tlsext_ticket_keys(context.get(), keys.data(), static_cast<long>(keys.size()));
    for (const std::string& name : names_of(SSL_CTX_get0_certificate(context.get()))) {
      state->by_name.emplace(name, context.get());  // the first file with a name has it
    }
    state->ends.push_back({files.chain, end_of(SSL_CTX_get0_certificate(context.get()))});
    state->contexts.push_back(std::move(context));
  }
  SSL_CTX* first = state->contexts.front().get();
  SSL_CTX_set_tlsext_servername_callback(first, &State::choose);
  SSL_CTX_set_tlsext_servername_arg(first, state.get());
  return state;
}

Result<> ServerContext::reload() {
  auto state = read_files();
  if (!state) return std::unexpected(state.error());
  const std::lock_guard lock(mutex_);
  state_ = std::move(*state);
  return {};
}

std::vector<CertificateEnd> ServerContext::ends() const {
  const std::lock_guard lock(mutex_);
  return state_->ends;
}

ServerContext::Connection ServerContext::connection() const {
  std::shared_ptr<const State> state;
  {
    const std::lock_guard lock(mutex_);
    state = state_;
  }
  SSL* ssl = SSL_new(state->contexts.front().get());
  if (ssl != nullptr) SSL_set_accept_state(ssl);
  return Connection{ssl, std::move(state)};
}

}  // namespace kage::tls
