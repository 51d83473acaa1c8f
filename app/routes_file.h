// Routes files, TOML or CSV, as a RouteSpec (contract R9.2): public addresses and who stands behind them.
//
// All problems of a file are found at once. What would loop or could never be delivered is refused here,
// before it reaches Redis.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/problems.h"
#include "mapping/routes/address_policy.h"
#include "mapping/routes/table.h"

namespace kage::app {

enum class RoutesFormat : std::uint8_t { toml, csv };
/// Of a CSV file. TOML is always UTF-8.
enum class RoutesEncoding : std::uint8_t { utf8, shift_jis };
/// "shift_jis"; all else is UTF-8.
RoutesEncoding routes_encoding(std::string_view name);

/// Columns that a spreadsheet does not have: it says nothing of them. A TOML file says everything.
struct LeftOut {
  bool display_name = false;
  bool phantom_domain = false;
  bool name = false;  ///< the member's
  bool login = false;
  bool password_hash = false;
  bool provider = false;
  std::vector<bool> policies;  ///< beside mapping::address_policies(), or empty
};

struct RoutesFile {
  mapping::RouteSpec spec;
  LeftOut left_out;
};

/// `providers`: names of the configuration's [[provider]]s, which a member may name.
std::optional<RoutesFile> parse_routes(std::string_view text, RoutesFormat format,
                                       const std::vector<std::string>& providers, Problems& problems,
                                       RoutesEncoding encoding = RoutesEncoding::utf8);

/// Reads a file; its name's ending (".csv", else TOML) tells the format. At most 256 MiB.
std::optional<RoutesFile> load_routes_file(const std::string& path, const std::vector<std::string>& providers,
                                           Problems& problems,
                                           RoutesEncoding encoding = RoutesEncoding::utf8);

/// The whole of what the file means: what it left out stays as it is `now` for public addresses, domains and
/// members that are there already. Next year's list of names and mailboxes changes no policy and no password.
mapping::RouteSpec complete(RoutesFile file, const mapping::RouteTable& now);

/// The column of a policy in CSV: its key, where that is not the member's name.
std::string_view policy_column(const mapping::AddressPolicy& policy);

/// docs/routes.md.
std::string routes_markdown();

}  // namespace kage::app
