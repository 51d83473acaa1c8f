// The configuration as the rest of the program takes it: checked, with defaults filled in.
//
// load_config() reads one TOML file and finds all its problems at once (contract R9.2). It opens no
// connection; files that the configuration names are looked at, because a wrong path is a wrong
// configuration.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/form_service.h"
#include "app/problems.h"
#include "app/settings.h"
#include "base/log.h"
#include "net/redis.h"
#include "proxy/sessions.h"
#include "submission/auth.h"
#include "submission/next_hop.h"
#include "submission/services.h"

namespace kage::app {

struct ListenConfig {
  enum class Face : std::uint8_t {
    inbound,
    submission,
    submissions,
    imap,
    imaps,
    pop3,
    pop3s,
    http,
    form,
    forms
  } face = Face::inbound;
  std::string address;
  std::uint16_t port = 0;
};

/// As the configuration names it.
std::string_view to_string(ListenConfig::Face face);

struct RedisConfig {
  bool embedded = true;
  net::RedisOptions options;  ///< `secure` is not set here; see app/redis_access.h
  bool tls = false;
  std::string ca_file;
  bool fsync_always = true;  ///< embedded only
  std::string executable;    ///< embedded only
  std::string folder;        ///< embedded only: <state_dir>/redis
};

struct Config {
  std::string file;  ///< as the operator named it
  std::string state_dir;
  std::string master_key;
  unsigned workers = 1;
  log::Level log_level = log::Level::info;
  net::Millis stop_timeout{30'000};
  std::size_t max_connections = 10'000;  ///< for each worker
  RedisConfig redis;
  std::vector<tls::CertificateFiles> certificates;
  std::vector<std::string> secret_files;  ///< keys of certificates, and what passwords stand in
  std::vector<ListenConfig> listen;
  submission::SessionOptions session;  ///< hostname included
  proxy::ProxyOptions proxy;           ///< hostname included
  FormOptions form;
  std::vector<provider::ProviderOptions> providers;
  std::vector<submission::NextHopOptions> next_hops;
};

/// Reads and checks a file. Nothing, and problems, when anything is wrong.
std::optional<Config> load_config(const std::string& path, ConfigUse use, Problems& problems);

/// The same from a text; `folder` is what relative paths are relative to.
std::optional<Config> parse_config(std::string_view text, const std::string& folder, ConfigUse use,
                                   Problems& problems);

/// The second half of parse_config: what needs more than one key to judge.
Config build_config(const SettingsDocument& document, ConfigUse use, Problems& problems);

}  // namespace kage::app
