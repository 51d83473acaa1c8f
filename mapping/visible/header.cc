// Choosing whose eyes see a message, and showing header blocks step by step until one fits.
#include "mapping/visible/header.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/metrics.h"
#include "base/text.h"
#include "mapping/rewrite/ids.h"
#include "mapping/routes/anonymity.h"
#include "mapping/visible/quick.h"
#include "mapping/visible/write.h"
#include "message/encoded_word.h"

namespace kage::mapping {
namespace {

using metrics::Counter;

constexpr std::size_t kLongestName = 60;   ///< of a trace field
constexpr std::size_t kFieldsRoom = 1024;  ///< what the fields of most lists of messages fit into
constexpr std::size_t kBlockRoom = 8192;   ///< what most header blocks fit into

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
        subject = message::decode_words(flat(field.body));
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

void count(Step step) {
  constexpr std::array kCounters = {
      Counter::size_fallbacks_references, Counter::size_fallbacks_names,      Counter::size_fallbacks_ids,
      Counter::size_fallbacks_text,       Counter::size_fallbacks_recipients, Counter::size_fallbacks_fields,
      Counter::size_fallbacks_all,
  };
  if (step != Step::none) metrics::add(kCounters[static_cast<std::size_t>(step) - 1]);
}

}  // namespace

namespace {

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

bool is_filler(std::string_view name) {
  return equals_nocase(name, kFillerField) || equals_nocase(name, kFillerField.substr(0, 1));
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

struct HeaderView::State {
  Deriver deriver;
  QuickView quick;

  unsigned show_whole(const Viewer& viewer, BlockKind kind, std::string_view block, std::string& out,
                      std::vector<PhantomWrite>& fresh);
};

HeaderView::HeaderView() : state_(std::make_unique<State>()) {}
HeaderView::~HeaderView() = default;

/// The long way, by all steps.
unsigned HeaderView::State::show_whole(const Viewer& viewer, BlockKind kind, std::string_view block,
                                       std::string& out, std::vector<PhantomWrite>& fresh) {
  const BlockText text(block);
  const Extent room = extent_of(text.fields);
  const std::size_t base = out.size();
  Step step = Step::all;
  VisibleScan scan;
  std::vector<Draft::Region> rewritten;
  if (scan.scan(kind, text.fields)) {
    VisibleWriter writer(deriver, viewer, scan, text.ends);
    for (step = Step::none; step != Step::all; step = static_cast<Step>(static_cast<unsigned>(step) + 1)) {
      rewritten.clear();
      Draft draft{out, base, rewritten};
      writer.write(draft, step, room);
      const Extent used = extent_of(std::string_view(out).substr(base));
      if (fit(draft, used, room, text.ends) && out.ends_with(text.added)) break;
      out.resize(base);
    }
    if (step != Step::all) writer.report(fresh);
  }
  if (step == Step::all) append_filler(out, room, text.ends);
  count(step);
  out.resize(out.size() - text.added.size());
  out += text.empty;
  return static_cast<unsigned>(step);
}

unsigned HeaderView::show(const Viewer& viewer, BlockKind kind, std::string_view block, std::string& out,
                          std::vector<PhantomWrite>& fresh, ContentFields* content) {
  if (viewer.own) {
    out += block;
    if (content != nullptr) *content = content_fields(block);
    return 0;
  }
  metrics::add(Counter::headers_shown);
  const std::size_t base = out.size();
  const std::size_t known = fresh.size();
  if (out.empty()) out.reserve(block.size());
  // The short way knows nothing of authors who are shown and of subjects that lose a marker.
  const bool plain = !may_show_authors(viewer.member->address->spec);
  if (plain && state_->quick.show(state_->deriver, viewer, kind, block, out, fresh, content)) return 0;
  out.resize(base);
  fresh.resize(known);
  if (content != nullptr) *content = content_fields(block);
  return state_->show_whole(viewer, kind, block, out, fresh);
}

std::size_t HeaderView::show_front(const Viewer& viewer, BlockKind kind, std::string_view text,
                                   std::string& out, std::vector<PhantomWrite>& fresh,
                                   ContentFields& content) {
  if (viewer.own || may_show_authors(viewer.member->address->spec)) return 0;
  const std::size_t base = out.size();
  const std::size_t known = fresh.size();
  if (out.empty()) out.reserve(std::min(text.size(), kBlockRoom));
  const std::size_t size = state_->quick.show_front(state_->deriver, viewer, kind, text, out, fresh, content);
  if (size != 0) {
    metrics::add(Counter::headers_shown);
  } else {
    out.resize(base);
    fresh.resize(known);
  }
  return size;
}

bool HeaderView::show_fields(const Viewer& viewer, const FieldSet& told, std::string_view fields,
                             std::string& out, std::string& original, std::vector<PhantomWrite>& fresh) {
  if (viewer.own || may_show_authors(viewer.member->address->spec)) return false;
  const std::size_t base = out.size();
  const std::size_t original_base = original.size();
  const std::size_t known = fresh.size();
  for (std::string* each : {&out, &original}) {
    if (each->empty()) each->reserve(std::min(fields.size(), kFieldsRoom));
  }
  if (state_->quick.show_fields(state_->deriver, viewer, told, fields, out, original, fresh)) {
    metrics::add(Counter::headers_shown);
    return true;
  }
  out.resize(base);
  original.resize(original_base);
  fresh.resize(known);
  return false;
}

std::string HeaderView::content_id(const Viewer& viewer, std::string_view id) {
  return viewer.own ? std::string(id) : masked_content_id(*viewer.member, id);
}

void HeaderView::clear() {
  state_->deriver.clear();
  state_->quick.clear();
}

}  // namespace kage::mapping
