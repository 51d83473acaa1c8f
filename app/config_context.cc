// What every part of the configuration needs to judge its keys.
#include "app/config_context.h"

#include <fmt/format.h>

#include <algorithm>

#include "tls/client_context.h"

namespace kage::app {
namespace {

constexpr std::size_t kMaxSecretSize = 4096;

}  // namespace

net::Millis millis(const SectionValues& values, std::string_view key) {
  return net::Millis(values.number(key));
}

std::uint16_t port_of(const SectionValues& values, std::string_view key) {
  return static_cast<std::uint16_t>(values.number(key));
}

std::vector<net::Network> networks(const std::vector<std::string>& texts) {
  std::vector<net::Network> out;
  for (const std::string& text : texts) {
    // Checked by the settings reader.
    if (auto network = net::Network::parse(text)) out.push_back(std::move(*network));
  }
  return out;
}

void ConfigContext::wrong(const SectionValues& values, std::string_view key, std::string_view found,
                          std::string_view allowed) {
  problems.add(std::max<std::size_t>(1, values.line(key)), fmt::format("{}.{}", values.section(), key), found,
               allowed);
}

void ConfigContext::only_with(const SectionValues& values, std::string_view key, bool fits,
                              std::string_view allowed) {
  if (values.given(key) && !fits) wrong(values, key, "a value", allowed);
}

std::string ConfigContext::authorities(const SectionValues& values, bool used) {
  const std::string& path = values.text("ca_file");
  if (path.empty() || !used) return path;
  const auto context = tls::ClientContext::verified(path);
  if (!context) wrong(values, "ca_file", context.error().detail, "a PEM file of certificates");
  return path;
}

void ConfigContext::keep_secret(const std::string& path) {
  auto& files = secret_files;
  if (std::ranges::find(files, path) == files.end()) files.push_back(path);
}

std::string ConfigContext::password(const SectionValues& values, const std::string& key) {
  const std::string file_key = key + "_file";
  if (!values.given(file_key)) {
    if (values.given(key)) keep_secret(problems.file());
    return values.text(key);
  }
  if (values.given(key)) {
    wrong(values, file_key, "a value beside " + key, fmt::format("one of {} and {}", key, file_key));
  }
  const std::string& path = values.text(file_key);
  if (path.empty()) return {};  // the settings reader has refused it
  keep_secret(path);
  Problems unreadable(path);
  const auto content = read_file(path, kMaxSecretSize, unreadable);
  const std::string secret = content ? content->substr(0, content->find_first_of("\r\n")) : "";
  if (secret.empty())
    wrong(values, file_key, "no password",
          "a file of at most 4096 octets with the password in its first line");
  return secret;
}

void ConfigContext::unique_name(const SectionValues& values, std::set<std::string>& names) {
  const std::string& name = values.text("name");
  if (!name.empty() && !names.insert(name).second) {
    wrong(values, "name", quote(name) + " twice", "another name for each " + std::string(values.section()));
  }
}

}  // namespace kage::app
