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
#include "mapping/routes/table.h"

namespace kage::app {

enum class RoutesFormat { toml, csv };
/// Of a CSV file. TOML is always UTF-8.
enum class RoutesEncoding : std::uint8_t { utf8, shift_jis };
/// "shift_jis"; all else is UTF-8.
RoutesEncoding routes_encoding(std::string_view name);

/// `providers`: names of the configuration's [[provider]]s, which a member may name.
std::optional<mapping::RouteSpec> parse_routes(std::string_view text, RoutesFormat format,
                                               const std::vector<std::string>& providers, Problems& problems,
                                               RoutesEncoding encoding = RoutesEncoding::utf8);

/// Reads a file; its name's ending (".csv", else TOML) tells the format. At most 256 MiB.
std::optional<mapping::RouteSpec> load_routes_file(const std::string& path,
                                                   const std::vector<std::string>& providers,
                                                   Problems& problems,
                                                   RoutesEncoding encoding = RoutesEncoding::utf8);

}  // namespace kage::app
