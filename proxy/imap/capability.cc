// The table of capabilities.
#include "proxy/imap/capability.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "base/text.h"

namespace kage::proxy {
namespace {

enum class Pass : std::uint8_t {
  ours,      // the proxy's own, whatever the upstream has
  upstream,  // where the upstream has it
  gmail,     // where it has it and proxy.gmail allows it
  compress,  // the proxy's own, once
  off,       // known, and not offered: no server that the tests can run has it
};

struct Row {
  std::string_view name;
  Pass pass;
};

constexpr std::array kTable = std::to_array<Row>({
    {"IMAP4REV1", Pass::ours},
    {"IMAP4REV2", Pass::off},
    {"LITERAL+", Pass::ours},
    {"SASL-IR", Pass::ours},
    {"ID", Pass::ours},
    {"IDLE", Pass::upstream},
    {"NAMESPACE", Pass::upstream},
    {"UIDPLUS", Pass::upstream},
    {"MOVE", Pass::upstream},
    {"SPECIAL-USE", Pass::upstream},
    {"CREATE-SPECIAL-USE", Pass::upstream},
    {"LIST-EXTENDED", Pass::upstream},
    {"LIST-STATUS", Pass::upstream},
    {"CHILDREN", Pass::upstream},
    {"ENABLE", Pass::ours},
    {"CONDSTORE", Pass::upstream},
    {"QRESYNC", Pass::upstream},
    {"ESEARCH", Pass::upstream},
    {"SEARCHRES", Pass::upstream},
    {"SORT", Pass::upstream},
    {"SORT=DISPLAY", Pass::upstream},
    {"THREAD=REFERENCES", Pass::upstream},
    {"THREAD=ORDEREDSUBJECT", Pass::upstream},
    {"THREAD=REFS", Pass::upstream},
    {"QUOTA", Pass::upstream},
    {"UNSELECT", Pass::upstream},
    {"WITHIN", Pass::upstream},
    {"MULTIAPPEND", Pass::upstream},
    {"BINARY", Pass::upstream},
    {"UTF8=ACCEPT", Pass::off},
    {"OBJECTID", Pass::upstream},
    {"STATUS=SIZE", Pass::upstream},
    {"SAVEDATE", Pass::upstream},
    {"COMPRESS=DEFLATE", Pass::compress},
    {"X-GM-EXT-1", Pass::gmail},
});

bool has(std::string_view upstream, std::string_view name) {
  std::string word = " ";
  word.append(name).append(" ");
  return upstream.find(word) != std::string_view::npos;
}

bool passes_row(const Row& row, std::string_view upstream, bool gmail) {
  switch (row.pass) {
    case Pass::ours:
    case Pass::compress:
      return true;
    case Pass::upstream:
      return has(upstream, row.name);
    case Pass::gmail:
      return gmail && has(upstream, row.name);
    case Pass::off:
      return false;
  }
  return false;
}

/// Some old clients look for the name in just this case.
std::string_view spelling(std::string_view name) {
  return name == "IMAP4REV1" ? "IMAP4rev1" : name;
}

}  // namespace

std::string greeting_capabilities(bool starttls, bool logins) {
  // Python's imaplib asks for capabilities before its login only, and looks for ENABLE in them.
  std::string out = "IMAP4rev1 LITERAL+ SASL-IR ID ENABLE";
  if (starttls) out += " STARTTLS";
  out += logins ? " AUTH=PLAIN AUTH=LOGIN AUTH=XOAUTH2 AUTH=OAUTHBEARER" : " LOGINDISABLED";
  return out;
}

std::string session_capabilities(std::string_view upstream, bool gmail, bool compressed) {
  std::string out;
  for (const Row& row : kTable) {
    if (!passes_row(row, upstream, gmail) || (compressed && row.pass == Pass::compress)) continue;
    if (!out.empty()) out += ' ';
    out += spelling(row.name);
  }
  return out;
}

bool passes(std::string_view capability, std::string_view upstream, bool gmail) {
  const auto row = std::ranges::find(kTable, capability, &Row::name);
  return row != kTable.end() && passes_row(*row, upstream, gmail);
}

}  // namespace kage::proxy
