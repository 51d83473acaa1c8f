// The client's SSL_CTX and its session cache.
//
// A session is kept under the host name that its certificate was verified for, and never used for another.
#include "tls/client_context.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <mutex>
#include <unordered_map>
#include <utility>

#include "base/text.h"
#include "net/ip.h"
#include "tls/openssl.h"
#include "tls/traffic_secrets.h"

namespace kage::tls {
namespace {

constexpr std::size_t kMaxSessions = 1024;

}  // namespace

struct ClientContext::State {
  SslCtxPtr context;
  bool verify = true;
  std::mutex mutex;
  std::unordered_map<std::string, SslSessionPtr> sessions;  // by host

  /// A TLS 1.3 ticket is used once (RFC 8446 §C.4).
  SslSessionPtr take(const std::string& host) {
    const std::lock_guard lock(mutex);
    const auto found = sessions.find(host);
    if (found == sessions.end()) return nullptr;
    if (SSL_SESSION_get_protocol_version(found->second.get()) < TLS1_3_VERSION) {
      SSL_SESSION_up_ref(found->second.get());
      return SslSessionPtr(found->second.get());
    }
    SslSessionPtr session = std::move(found->second);
    sessions.erase(found);
    return session;
  }

  void put(std::string host, SslSessionPtr session) {
    const std::lock_guard lock(mutex);
    if (sessions.size() >= kMaxSessions && !sessions.contains(host)) sessions.erase(sessions.begin());
    sessions.insert_or_assign(std::move(host), std::move(session));
  }
};

namespace {

/// OpenSSL keeps one pointer for us with each SSL: who caches its sessions, and under what name.
struct CacheKey {
  void* state = nullptr;
  std::string host;
};

void free_key(void* /*parent*/, void* pointer, CRYPTO_EX_DATA* /*data*/, int /*index*/, long /*number*/,
              void* /*argument*/) {
  delete static_cast<CacheKey*>(pointer);
}

int key_index() {
  static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, free_key);
  return index;
}

}  // namespace

ClientContext::ClientContext(std::shared_ptr<State> state) : state_(std::move(state)) {}

ClientContext::~ClientContext() = default;

Result<std::shared_ptr<ClientContext>> ClientContext::create(ClientOptions options) {
  auto state = std::make_shared<State>();
  state->context = make_context(TLS_client_method());
  state->verify = options.verify;
  SSL_CTX* context = state->context.get();
  if (context == nullptr) return fail(Errc::tls, take_reason());
  SSL_CTX_set_verify(context, options.verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
  ERR_clear_error();
  if (options.ca_file.empty()) {
    SSL_CTX_set_default_verify_paths(context);
  } else if (SSL_CTX_load_verify_file(context, options.ca_file.c_str()) != 1) {
    return fail(Errc::invalid, "CA file " + options.ca_file + ": " + take_reason());
  }
  if (!options.certificate_file.empty()) {
    const auto used = use_certificate(context, options.certificate_file, options.key_file);
    if (!used) return std::unexpected(used.error());
  }
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  tell_secrets(context);
  SSL_CTX_sess_set_new_cb(context, [](SSL* ssl, SSL_SESSION* session) {
    const auto* key = static_cast<const CacheKey*>(SSL_get_ex_data(ssl, key_index()));
    if (key == nullptr || SSL_SESSION_is_resumable(session) == 0) return 0;
    static_cast<State*>(key->state)->put(key->host, SslSessionPtr(session));
    return 1;  // the reference is ours now
  });
  return std::shared_ptr<ClientContext>(new ClientContext(std::move(state)));
}

Result<std::shared_ptr<ClientContext>> ClientContext::verified(std::string ca_file) {
  return create({.ca_file = std::move(ca_file), .verify = true, .certificate_file = {}, .key_file = {}});
}

ClientContext::Connection ClientContext::connection(const std::string& host) const {
  std::string name = lower(host);
  if (name.ends_with('.')) name.pop_back();
  SslPtr ssl(SSL_new(state_->context.get()));
  if (!ssl) return {};
  SSL_set_connect_state(ssl.get());
  const bool is_ip = net::parse_ip(name).has_value();
  if (!is_ip && SSL_set_tlsext_host_name(ssl.get(), name.c_str()) != 1) return {};
  if (state_->verify) {
    // An empty name would switch the check off.
    if (name.empty()) return {};
    SSL_set_hostflags(ssl.get(), X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    const int set = is_ip ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl.get()), name.c_str())
                          : SSL_set1_host(ssl.get(), name.c_str());
    if (set != 1) return {};
  }
  auto key = std::make_unique<CacheKey>();
  key->state = state_.get();
  key->host = name;
  if (SSL_set_ex_data(ssl.get(), key_index(), key.get()) == 1) (void)key.release();
  if (const SslSessionPtr session = state_->take(name)) SSL_set_session(ssl.get(), session.get());
  return Connection{ssl.release(), state_};
}

}  // namespace kage::tls
