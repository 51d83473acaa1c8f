// Routes files in CSV, with the habits of the spreadsheets that write them; routes_builder.cc has the rules.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "app/csv.h"
#include "app/routes_builder.h"
#include "base/text.h"
#include "message/charset.h"
#include "message/invisible.h"
#include "message/utf8.h"

namespace kage::app {
namespace {

/// Places in columns_known(). The policies follow.
namespace column {
enum : std::size_t {
  address,
  display_name,
  mailbox,
  name,
  login,
  password_hash,
  provider,
  phantom_domain,
  policies
};
}

constexpr auto kColumns = std::to_array<std::string_view>(
    {"address", "display_name", "mailbox", "name", "login", "password_hash", "provider", "phantom_domain"});
static_assert(kColumns.size() == column::policies);

/// All columns there are: those above, then one for each policy. "name" is the member's, as in TOML.
std::vector<std::string_view> columns_known() {
  std::vector<std::string_view> names(kColumns.begin(), kColumns.end());
  for (const mapping::AddressPolicy& policy : mapping::address_policies()) {
    names.push_back(policy_column(policy));
  }
  return names;
}

constexpr std::size_t kNoColumn = static_cast<std::size_t>(-1);

/// For each column of the file, which of columns_known() it is, or kNoColumn for one without a name, which a
/// spreadsheet saves where something once stood; empty when the header row is wrong.
std::vector<std::size_t> read_header(const CsvRow& row, Problems& problems) {
  std::vector<std::size_t> columns;
  const std::vector<std::string_view> known = columns_known();
  const std::string all = fmt::format("a header row of {}", fmt::join(known, ","));
  if (row.fields.size() == 1 && row.fields[0].find_first_of(";\t") != std::string::npos) {
    problems.add(row.row, "header", "columns that are not separated by commas",
                 "commas; save as CSV (comma separated)");
    return {};
  }
  for (const std::string& field : row.fields) {
    const std::string name = lower(message::trim_white(field));
    const auto at = std::ranges::find(known, name);
    const auto index = static_cast<std::size_t>(at - known.begin());
    if (name.empty()) {
      columns.push_back(kNoColumn);
      continue;
    }
    if (at == known.end()) {
      const std::string near = nearest_word(name, known);
      const std::string meant = near.empty() ? "" : fmt::format("did you mean {}? ", quote(near));
      problems.add(row.row, "header", "the column " + quote(field), meant + all);
    } else if (std::ranges::find(columns, index) != columns.end()) {
      problems.add(row.row, "header", fmt::format("the column {} twice", quote(name)), "each column once");
    }
    columns.push_back(index);
  }
  for (const std::size_t needed : {std::size_t{column::address}, std::size_t{column::mailbox}}) {
    if (std::ranges::find(columns, needed) == columns.end()) {
      problems.add(row.row, "header", fmt::format("no column {}", quote(kColumns[needed])),
                   "the columns address and mailbox at least");
    }
  }
  if (!problems.empty()) columns.clear();
  return columns;
}

void read_row(const CsvRow& row, const std::vector<std::size_t>& columns, RoutesBuilder& builder,
              Problems& problems) {
  std::vector<RouteText> texts(column::policies + mapping::address_policies().size());
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const std::string_view text = message::trim_white(row.fields[i]);
    if (text.empty()) continue;
    if (columns[i] == kNoColumn) {
      problems.add(row.row, "row", fmt::format("{} in column {}, which has no name", quote(text), i + 1),
                   "nothing there, or a name in the header row");
      continue;
    }
    // Spreadsheets write TRUE for what was typed as true.
    const bool policy = columns[i] >= column::policies;
    texts[columns[i]] = {policy ? lower(text) : std::string(text), row.row};
  }
  RawAddress address;
  address.line = row.row;
  address.address = texts[column::address];
  address.display_name = texts[column::display_name];
  for (std::size_t i = 0; i < address.policies.size(); ++i) address.policies[i] = texts[column::policies + i];
  RawMember member;
  member.line = row.row;
  member.mailbox = texts[column::mailbox];
  member.name = texts[column::name];
  member.login = texts[column::login];
  member.password_hash = texts[column::password_hash];
  member.provider = texts[column::provider];
  const std::size_t index = builder.add_address(address, true);
  builder.set_phantom_domain(index, texts[column::phantom_domain]);
  builder.add_member(index, member);
}

constexpr std::string_view kReplaced = "\uFFFD";

/// The file as UTF-8. A spreadsheet that was not asked for "CSV UTF-8" saves something else.
std::string decode(std::string_view text, RoutesEncoding encoding, Problems& problems) {
  constexpr std::string_view kAllowed =
      "UTF-8; in a spreadsheet save as \"CSV UTF-8\", or say --encoding shift_jis where it is that";
  if (text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF")) {
    problems.add(1, "file", "UTF-16", "UTF-8; in a spreadsheet save as \"CSV UTF-8\"");
    return {};
  }
  std::string out =
      encoding == RoutesEncoding::utf8 ? std::string(text) : message::to_utf8(text, "shift_jis");
  std::size_t line = 1;
  for (std::size_t at = 0; at < out.size(); ++line) {
    const std::size_t end = std::min(out.find('\n', at), out.size());
    const std::string_view here = std::string_view(out).substr(at, end - at);
    if (encoding == RoutesEncoding::utf8 && !message::is_valid_utf8(here)) {
      problems.add(line, "file", "bytes that are not UTF-8 (Shift_JIS, perhaps)", kAllowed);
      return {};
    }
    if (encoding != RoutesEncoding::utf8 && here.find(kReplaced) != std::string_view::npos) {
      problems.add(line, "file", "bytes that are not Shift_JIS", "Shift_JIS, as --encoding says");
      return {};
    }
    at = end + 1;
  }
  return out;
}

/// Gives the row as many cells as the header has. Those that are missing at the end are empty: Excel leaves
/// them out of each block of sixteen rows that has nothing there. Empty ones behind the last column go.
bool fit(CsvRow& row, std::size_t columns, Problems& problems) {
  std::size_t used = row.fields.size();
  while (used > columns && message::trim_white(row.fields[used - 1]).empty()) --used;
  if (used > columns) {
    problems.add(row.row, "row", fmt::format("{} columns", used),
                 fmt::format("{}, as in the header row", columns));
    return false;
  }
  row.fields.resize(columns);
  return true;
}

/// `columns`: as read_header() gave them.
LeftOut left_out_of(const std::vector<std::size_t>& columns) {
  const auto lacks = [&columns](std::size_t column) {
    return std::ranges::find(columns, column) == columns.end();
  };
  LeftOut left_out{.display_name = lacks(column::display_name),
                   .phantom_domain = lacks(column::phantom_domain),
                   .name = lacks(column::name),
                   .login = lacks(column::login),
                   .password_hash = lacks(column::password_hash),
                   .provider = lacks(column::provider),
                   .policies = {}};
  for (std::size_t i = 0; i < mapping::address_policies().size(); ++i) {
    left_out.policies.push_back(lacks(column::policies + i));
  }
  return left_out;
}

}  // namespace

LeftOut read_csv_routes(std::string_view text, RoutesEncoding encoding, RoutesBuilder& builder,
                        Problems& problems) {
  const std::string decoded = decode(text, encoding, problems);
  if (!problems.empty()) return {};
  CsvReader reader(decoded);
  CsvRow row;
  std::vector<std::size_t> columns;
  while (true) {
    const auto more = reader.next(row);
    if (!more) {
      problems.add(reader.row(), "syntax", more.error().detail, "CSV as in RFC 4180");
      // A header that cannot be read, or a quote that took all the rest: no more is known of the others.
      if (columns.empty() || !reader.skip_row()) return {};
      continue;
    }
    if (!*more) break;
    const bool empty = std::ranges::all_of(
        row.fields, [](const std::string& cell) { return message::trim_white(cell).empty(); });
    if (empty) continue;  // spreadsheets write rows of nothing but commas
    if (columns.empty()) {
      columns = read_header(row, problems);
      if (columns.empty()) return {};
    } else if (fit(row, columns.size(), problems)) {
      read_row(row, columns, builder, problems);
    }
  }
  if (columns.empty()) {
    problems.add(1, "header", "nothing", fmt::format("a header row of {}", fmt::join(columns_known(), ",")));
  }
  return left_out_of(columns);
}

}  // namespace kage::app
