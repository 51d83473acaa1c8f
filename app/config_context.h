// What the parts of the configuration share: the document, the problems found, and rules for keys that
// several sections have. Internal to config*.cc and form_config.cc.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "app/problems.h"
#include "app/settings.h"
#include "net/cidr.h"
#include "net/loop.h"

namespace kage::app {

/// Everything it refers to lives as long as build_config().
struct ConfigContext {
  const SettingsDocument& document;
  ConfigUse use;
  Problems& problems;
  std::vector<std::string>& secret_files;  ///< collected on the way

  void wrong(const SectionValues& values, std::string_view key, std::string_view found,
             std::string_view allowed);
  /// Reports when the key is given although it means nothing here.
  void only_with(const SectionValues& values, std::string_view key, bool fits, std::string_view allowed);
  /// Reports a name that another section of the same kind has, and remembers it.
  void unique_name(const SectionValues& values, std::set<std::string>& names);
  /// The authorities of a section; what does not load is a wrong configuration. `used`: they matter there.
  std::string authorities(const SectionValues& values, bool used);
  /// The password of a section, from `key` or the file that `key`_file names.
  std::string password(const SectionValues& values, const std::string& key = "password");
  void keep_secret(const std::string& path);
};

net::Millis millis(const SectionValues& values, std::string_view key);
std::uint16_t port_of(const SectionValues& values, std::string_view key = "port");
/// Of a list that the settings reader has checked.
std::vector<net::Network> networks(const std::vector<std::string>& texts);

}  // namespace kage::app
