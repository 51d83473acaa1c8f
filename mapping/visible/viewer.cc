// From a header's addresses, trace fields and subject to the viewer.
#include "mapping/visible/viewer.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/text.h"
#include "mapping/rewrite/field_policy.h"
#include "mapping/routes/anonymity.h"
#include "mapping/visible/scan.h"
#include "message/address_list.h"
#include "message/encoded_word.h"
#include "message/header.h"

namespace kage::mapping {
namespace {

constexpr std::size_t kLongestName = 60;  ///< of a trace field

/// Addresses of a field's mailboxes; nothing when the list holds more than mailboxes.
struct Mailboxes {
  std::vector<std::string> canonical;
  bool junk = false;

  explicit Mailboxes(std::string_view body) {
    const std::string line = message::unfold(body);
    const auto items = message::parse_address_list(line);
    junk = !items;
    if (!items) return;
    for (const message::ListItem& item : *items) {
      if (item.kind == message::ListItem::Kind::mailbox && item.address) {
        canonical.push_back(item.address->canonical());
      }
      junk = junk || item.kind == message::ListItem::Kind::junk || !item.intact;
    }
  }
};

/// Where a member's public address stands, the best first.
constexpr std::array<std::string_view, 5> kPublicAddressFields = {"To", "Cc", "Delivered-To", "X-Original-To",
                                                                  "Envelope-To"};

class Chooser {
 public:
  Chooser(std::span<const Member* const> members, std::span<const message::Field> fields)
      : members_(members), fields_(fields) {}

  [[nodiscard]] const Member* member() const {
    if (members_.size() == 1) return members_.front();
    for (const std::string_view name : kPublicAddressFields) {
      for (const message::Field& field : fields_) {
        if (!field.is(name)) continue;
        for (const std::string& canonical : Mailboxes(field.body).canonical) {
          const auto named = std::ranges::find(
              members_, canonical,
              [](const Member* each) -> const std::string& { return each->address->canonical; });
          if (named != members_.end()) return *named;
        }
      }
    }
    return *std::ranges::min_element(
        members_, {}, [](const Member* each) { return std::string_view(each->address->canonical); });
  }

  /// The only mailbox of the only From, where the policy shows it; empty otherwise.
  [[nodiscard]] std::string shown_author(const AddressSpec& address) const {
    std::string subject;
    const message::Field* from = nullptr;
    bool has_subject = false;
    for (const message::Field& field : fields_) {
      if (field.is("Subject") && !std::exchange(has_subject, true)) {
        subject = subject_to_judge(field.body);
      }
      if (!field.is("From")) continue;
      if (from != nullptr) return {};
      from = &field;
    }
    if (from == nullptr || !judge_anonymity(address, subject).shows_author) return {};
    Mailboxes authors(from->body);
    return authors.canonical.size() == 1 ? std::move(authors.canonical.front()) : std::string();
  }

  [[nodiscard]] bool own() const {
    const message::Field* from = nullptr;
    for (const message::Field& field : fields_) {
      if (field.name.empty() || find_rule(field.name).is_trace()) return false;
      if (!field.is("From")) continue;
      if (from != nullptr) return false;
      from = &field;
    }
    if (from == nullptr) return false;
    const Mailboxes authors(from->body);
    return !authors.junk && !authors.canonical.empty() &&
           std::ranges::all_of(authors.canonical, [&](const std::string& author) {
             return std::ranges::any_of(members_, [&](const Member* each) {
               return author == each->mailbox_canonical || author == each->address->canonical;
             });
           });
  }

 private:
  std::span<const Member* const> members_;
  std::span<const message::Field> fields_;
};

/// Whether a mail system delivered it: then it begins with a trace field.
bool is_delivered(std::string_view message) {
  const std::string_view front = message.substr(0, kLongestName + 1);
  const std::size_t colon = front.find(':');
  return colon != std::string_view::npos && find_rule(front.substr(0, colon)).is_trace();
}

}  // namespace

std::string deciding_fields(bool several) {
  std::string names = "RECEIVED AUTHENTICATION-RESULTS";
  const auto add = [&](std::string_view name) { names.append(" ").append(upper(name)); };
  for (const FieldRule& rule : field_rules()) {
    if (may_be_shown(rule, BlockKind::message)) add(rule.name);
  }
  if (!several) return names;
  for (const std::string_view name : kPublicAddressFields) {
    if (!may_be_shown(find_rule(name), BlockKind::message)) add(name);
  }
  return names;
}

std::optional<Viewer> viewer_from_front(const RouteTable& routes, std::span<const Member* const> members,
                                        std::string_view front) {
  const Member* const member = members.front();
  if (members.size() > 1 || may_show_authors(member->address->spec) || !is_delivered(front))
    return std::nullopt;
  return Viewer{.routes = &routes, .member = member, .own = false, .shown_author = {}};
}

Viewer choose_viewer(const RouteTable& routes, std::span<const Member* const> members,
                     std::string_view header_block) {
  if (auto known = viewer_from_front(routes, members, header_block)) return std::move(*known);
  Viewer viewer{.routes = &routes, .member = members.front(), .own = false, .shown_author = {}};
  const bool delivered = is_delivered(header_block);
  const BlockText text(header_block);
  // A header beyond the bounds is never shown; whose it is does not matter.
  const auto fields = message::tokenize(text.fields);
  const Chooser chooser(members, fields ? std::span(*fields) : std::span<const message::Field>());
  viewer.member = chooser.member();
  viewer.own = !delivered && fields && chooser.own();
  const AddressSpec& spec = viewer.member->address->spec;
  if (!viewer.own && may_show_authors(spec)) viewer.shown_author = chooser.shown_author(spec);
  if (routes.stands_behind(*viewer.member->address, viewer.shown_author)) viewer.shown_author.clear();
  return viewer;
}

}  // namespace kage::mapping
