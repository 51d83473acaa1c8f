// Routes files, TOML or CSV, as a RouteSpec (contract R9.2): public addresses and who stands behind them.
//
// All problems of a file are found at once. What would loop or could never be delivered is refused here,
// before it reaches Redis.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/problems.h"
#include "mapping/route_table.h"

namespace kage::app {

enum class RoutesFormat { toml, csv };

/// `providers`: names of the configuration's [[provider]]s, which a member may name.
std::optional<mapping::RouteSpec> parse_routes(std::string_view text, RoutesFormat format,
                                               const std::vector<std::string>& providers, Problems& problems);

/// Reads a file; its name's ending (".csv", else TOML) tells the format. At most 256 MiB.
std::optional<mapping::RouteSpec> load_routes_file(const std::string& path,
                                                   const std::vector<std::string>& providers,
                                                   Problems& problems);

}  // namespace kage::app
