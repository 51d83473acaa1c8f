// Reads the verdict of the mail system in front. Organizational domains come from the public suffix list.
#include "submission/author.h"

#include <libpsl.h>

#include <optional>

#include "base/text.h"
#include "message/address.h"
#include "submission/auth_results.h"

namespace kage::submission {
namespace {

constexpr std::size_t kMaxFields = 50;

/// The newest list that the system has, else the one built into the library. Never freed: threads share it.
const psl_ctx_t* suffix_list() {
  static const psl_ctx_t* const list = psl_latest(nullptr);
  return list != nullptr ? list : psl_builtin();
}

std::optional<std::string> organizational_domain(const std::string& domain) {
  const char* found = psl_registrable_domain(suffix_list(), domain.c_str());
  if (found == nullptr) return std::nullopt;
  return std::string(found);
}

/// The domain of "user@domain", "@domain", "<user@domain>" or "domain", canonical; empty when there is none.
std::string domain_of(std::string_view value) {
  if (value.starts_with('<') && value.ends_with('>')) value = value.substr(1, value.size() - 2);
  const std::size_t at = value.rfind('@');
  if (at != std::string_view::npos) value.remove_prefix(at + 1);
  auto domain = message::canonical_domain(value);
  return domain ? std::move(*domain) : std::string();
}

bool property_aligned(const AuthResult& result, std::string_view name, std::string_view author_domain) {
  const auto value = result.find(name);
  return value && aligned(domain_of(*value), author_domain);
}

/// What the fields say together.
struct Tally {
  bool vouched = false;
  std::string dmarc;  ///< the first dmarc result
  bool contradiction = false;

  void count(const AuthResult& result, std::string_view author_domain) {
    const bool pass = result.result == "pass";
    if (result.method == "dmarc") {
      if (dmarc.empty()) dmarc = result.result;
      if (result.result == "fail" || result.result != dmarc) contradiction = true;
      const auto from = result.find("header.from");
      // There is one author: a verdict on another one belongs to another message.
      if (from && domain_of(*from) != author_domain) contradiction = true;
      if (pass && from && domain_of(*from) == author_domain) vouched = true;
    } else if (result.method == "spf") {
      if (pass && property_aligned(result, "smtp.mailfrom", author_domain)) vouched = true;
    } else if (result.method == "dkim") {
      const std::string_view signer = result.find("header.d") ? "header.d" : "header.i";
      if (pass && property_aligned(result, signer, author_domain)) vouched = true;
    }
  }
};

bool is_ours(const AuthResults& parsed, std::span<const std::string> authserv_ids) {
  for (const std::string& id : authserv_ids) {
    if (equals_nocase(parsed.authserv_id, id)) return true;
  }
  return false;
}

bool contains(const std::vector<net::Network>& networks, const std::string& ip) {
  for (const net::Network& network : networks) {
    if (network.contains(ip)) return true;
  }
  return false;
}

}  // namespace

bool aligned(std::string_view domain, std::string_view author_domain) {
  if (domain.empty() || author_domain.empty()) return false;
  if (domain == author_domain) return true;
  const auto organization = organizational_domain(std::string(domain));
  return organization && organization == organizational_domain(std::string(author_domain));
}

bool results_vouch(std::span<const message::Field> header, std::span<const std::string> authserv_ids,
                   std::string_view author_domain) {
  Tally tally;
  std::size_t received = 0;
  std::size_t fields = 0;
  bool ours = false;
  for (const message::Field& field : header) {
    // Fields below the second Received were there when the message came to the system in front. Those between
    // the first and the second may have been, too: they count only where it writes none above its own.
    if (field.is("Received") && (++received == 2 || ours)) break;
    if (!field.is("Authentication-Results")) continue;
    if (++fields > kMaxFields) return false;
    const auto parsed = parse_auth_results(field.body);
    if (!parsed || !is_ours(*parsed, authserv_ids)) continue;
    ours = true;
    for (const AuthResult& result : parsed->results) tally.count(result, author_domain);
  }
  return tally.vouched && !tally.contradiction;
}

bool is_vouched(std::span<const message::Field> header, const net::PeerAddress& peer,
                std::string_view author_domain, const SessionOptions& options) {
  for (const TrustedNetwork& network : options.trusted) {
    if (contains(network.networks, peer.ip)) return true;
  }
  return contains(options.fronts, peer.ip) && results_vouch(header, options.authserv_ids, author_domain);
}

}  // namespace kage::submission
