// A-labels in the place of other domains, in an envelope and in the address fields of a header.
#include "submission/ascii_domains.h"

#include <algorithm>
#include <array>
#include <vector>

#include "base/text.h"
#include "mapping/rewrite/writer.h"
#include "message/address_list.h"
#include "message/header.h"

namespace kage::submission {
namespace {

using message::ListItem;

constexpr std::array<std::string_view, 5> kListFields = {"From", "Sender", "Reply-To", "To", "Cc"};

bool has_other_domain(const ListItem& item) {
  return item.address && !all_ascii(item.address->domain);
}

void write_list(std::string& out, std::string_view name, const std::vector<ListItem>& items) {
  mapping::ListWriter list;
  for (const ListItem& item : items) {
    if (item.kind == ListItem::Kind::group_start) list.group_start(item.phrase);
    if (item.kind == ListItem::Kind::group_end) list.group_end();
    if (item.kind != ListItem::Kind::mailbox || !item.address) continue;
    const auto ascii = has_other_domain(item) ? with_ascii_domain(*item.address) : std::nullopt;
    list.mailbox(item.phrase, ascii ? ascii->spelling : item.address->spelling, item.comments);
  }
  list.write(out, name);
}

}  // namespace

std::optional<message::Address> with_ascii_domain(const message::Address& address) {
  if (!all_ascii(address.local)) return std::nullopt;
  message::Address ascii = address;
  ascii.domain = address.canonical_domain();
  if (!all_ascii(ascii.domain)) return std::nullopt;
  ascii.spelling.resize(address.spelling.rfind('@') + 1);
  ascii.spelling += ascii.domain;
  return ascii;
}

std::string with_ascii_domains(std::string_view header) {
  std::string out;
  while (!header.empty()) {
    const message::Field field = message::read_field(message::cut_field(header));
    const bool lists =
        !all_ascii(field.raw) &&
        std::ranges::any_of(kListFields, [&field](std::string_view name) { return field.is(name); });
    const auto items = lists ? message::parse_address_list(field.body) : std::vector<ListItem>();
    if (items && std::ranges::any_of(*items, has_other_domain)) {
      write_list(out, field.name, *items);
    } else {
      out.append(field.raw);
    }
  }
  return out;
}

}  // namespace kage::submission
