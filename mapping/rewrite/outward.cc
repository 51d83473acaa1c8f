// Member → correspondent: From is the public address, To and Cc follow the recipient policy, nothing names
// the member's mailbox or other phantoms (contract R5.3, R6.1).
#include <algorithm>
#include <unordered_set>
#include <vector>

#include "base/text.h"
#include "mapping/rewrite/ids.h"
#include "mapping/rewrite/rewrite.h"
#include "mapping/rewrite/writer.h"
#include "message/encoded_word.h"

namespace kage::mapping {
namespace {

using Kind = message::ListItem::Kind;

class OutwardCopy {
 public:
  OutwardCopy(const ParsedHeader::Impl& header, const Outward& to)
      : header_(header),
        to_(to),
        correspondent_(to.correspondent.canonical()),
        open_(is_open(to, correspondent_)),
        phantom_(lower(to.phantom)),
        author_{Action::replace, to.member.address->spec.address.spelling},
        audience_{.routes = to.routes,
                  .member = to.member,
                  .domain = to.correspondent.canonical_domain(),
                  .only_own = opens_only_own(to),
                  .answered = {},
                  .mailbox = to.for_colleagues ? std::string_view() : correspondent_} {
    if (open_) recipients_.insert(to.recipients.begin(), to.recipients.end());
    const auto found = header.index.all();
    in_lists_.reserve(found.size());
    in_text_.reserve(found.size());
    for (std::size_t i = 0; i < found.size(); ++i) stand_in(i, found[i].canonical);
    find_written_item();
    if (is_answered()) audience_.answered = answered_id();
  }

  std::string write() {
    out_.reserve(header_.block.size() + 1024);
    if (!to_.received.empty()) message::write_field(out_, "Received", to_.received);
    if (header_.addresses_of("from") == nullptr) write_from();
    for (const ScannedField& field : header_.scanned) {
      if (field.rule->towards_correspondent != FieldClass::drop) write_one(field);
    }
    if (!names_anybody_) write_nobody();
    write_missing(out_, header_, to_.message_id, to_.date);
    return std::move(out_);
  }

 private:
  using Action = StandIn::Action;

  static bool is_mailbox(const Outward& to, const std::string& canonical) {
    return !to.routes.find_mailbox(canonical).empty();
  }

  /// A copy that a colleague gets as a correspondent names nobody else: real addresses are not for members
  /// (contract R3.1).
  static bool is_open(const Outward& to, const std::string& correspondent) {
    if (to.for_colleagues) return true;
    return to.member.address->spec.recipients == RecipientPolicy::open && !is_mailbox(to, correspondent);
  }

  /// Whether only ids that seem to be the correspondent's own are opened. Whom the member knows by a real
  /// address may be an accomplice, or the member: an id names a host, and would tell where others are.
  [[nodiscard]] bool opens_only_own(const Outward& to) const {
    if (to.for_colleagues) return false;
    return (to.several && !open_) || to.phantom.empty() || is_mailbox(to, correspondent_);
  }

  /// Whether the member answers this correspondent: the first address of To is their phantom, as mail
  /// programs write an answer to all. In a private copy the id that is answered (and no other id) is opened
  /// for them: where an id's domain is that of a provider, nothing else tells whose it is.
  ///
  /// The message that is answered may be somebody else's. Then the copy tells an accomplice behind that
  /// phantom the one id that the same answer to them alone would tell, in which every id is opened; and no
  /// message opens an id for more than one of its correspondents. Who is known by a real address, and who has
  /// a mailbox here, is never the one.
  [[nodiscard]] bool is_answered() const {
    const AddressScan* to = header_.addresses_of("to");
    if (to == nullptr || to_.phantom.empty() || is_mailbox(to_, correspondent_)) return false;
    const auto first = std::ranges::find(to->items, Kind::mailbox, &AddressItem::kind);
    if (first == to->items.end()) return false;
    return behind_phantom(header_.index.all()[first->found].canonical) == &to_.correspondent;
  }

  /// The only id of In-Reply-To; of several nobody knows whose they are.
  [[nodiscard]] std::string_view answered_id() const {
    for (const ScannedField& field : header_.scanned) {
      const auto* scan = std::get_if<IdScan>(&field.scan);
      if (field.rule->name == "in-reply-to" && scan != nullptr && scan->ids.size() == 1)
        return scan->ids.front();
    }
    return {};
  }

  /// Whether other correspondents may see this recipient: `open` shows no member's mailbox, be it the
  /// writer's own or one behind another public address (contract R3.2).
  [[nodiscard]] bool may_be_named(const std::string& canonical) const {
    return open_ && (to_.for_colleagues || !is_mailbox(to_, canonical));
  }

  /// Decides for one address what stands for it in To and Cc (`in_lists_`) and in text (`in_text_`).
  void stand_in(std::size_t number, const std::string& canonical) {
    const StandIn keep{Action::keep, {}};
    const bool visible = open_ && header_.visible[number];
    StandIn in_list{Action::remove, {}};
    if (const auto real = behind_phantom(canonical)) {
      const bool is_correspondent = real == &to_.correspondent;
      if (is_correspondent) mine_.push_back(number);
      const bool named = is_correspondent || may_be_named(real->canonical());
      if (named) in_list = {Action::replace, real->spelling};
      in_text_.push_back(is_correspondent || (visible && named) ? StandIn{Action::replace, real->spelling}
                                                                : author_);
    } else if (canonical == correspondent_) {
      mine_.push_back(number);
      in_list = keep;
      in_text_.push_back(keep);
    } else if (to_.routes.find_address(canonical) != nullptr) {
      if (open_) in_list = keep;
      in_text_.push_back(keep);
    } else {
      const bool shown = visible && recipients_.contains(canonical) && may_be_named(canonical);
      if (shown) in_list = keep;
      in_text_.push_back(shown ? keep : author_);
    }
    in_lists_.push_back(std::move(in_list));
  }

  /// The real address behind one of the member's phantoms in this message; null for every other address.
  [[nodiscard]] const message::Address* behind_phantom(std::string_view canonical) const {
    const std::size_t at = canonical.rfind('@');
    if (at == std::string_view::npos) return nullptr;
    if (to_.routes.find_phantom_domain(canonical.substr(at + 1)) != to_.member.address->domain)
      return nullptr;
    const std::string local = lower(canonical.substr(0, at));
    if (!phantom_.empty() && local == phantom_) return &to_.correspondent;
    const auto real = to_.resolved.find(local);
    return real == to_.resolved.end() ? nullptr : &real->second;
  }

  /// Where the member named this correspondent, preferably with a name.
  void find_written_item() {
    for (const std::string_view name : {"to", "cc"}) {
      const AddressScan* scan = header_.addresses_of(name);
      if (scan == nullptr) continue;
      for (const AddressItem& item : scan->items) {
        if (item.found == kNoAddress || !is_correspondent(item.found)) continue;
        if (written_ == nullptr || (written_->phrase.written.empty() && !item.phrase.written.empty())) {
          written_ = &item;
        }
      }
    }
  }

  [[nodiscard]] bool is_correspondent(std::size_t number) const {
    return std::ranges::find(mine_, number) != mine_.end();
  }

  void write_one(const ScannedField& field) {
    const std::string_view name = field.rule->name;
    if (name == "from") {
      write_from();
    } else if (const auto* list = std::get_if<AddressScan>(&field.scan)) {
      if (open_) {
        write_open(field, *list);
      } else {
        write_private(field, *list);
      }
    } else if (const auto* ids = std::get_if<IdScan>(&field.scan)) {
      write_ids_of(field, *ids);
    } else {
      write_other(out_, field, in_text_);
    }
  }

  void write_ids_of(const ScannedField& field, const IdScan& scan) {
    std::vector<std::string> ids;
    ids.reserve(scan.ids.size());
    for (const std::string& id : scan.ids) ids.push_back(id_towards_correspondent(audience_, id));
    write_id_field(out_, field, scan, std::move(ids));
  }

  void write_from() {
    const AddressSpec& spec = to_.member.address->spec;
    const std::string& name = to_.member.spec.name.empty() ? spec.display_name : to_.member.spec.name;
    // A configured name that holds an address would show the mailbox that stealth hides.
    AddressIndex scratch;
    const bool harmless = scan_decoded(name, Care::text, scratch).harmless();
    ListWriter list;
    list.mailbox(harmless ? message::encode_phrase(name) : std::string(), spec.address.spelling, {});
    list.write(out_, "From");
  }

  /// `recipients = "private"`: one To that names this correspondent, in the place of the first To or Cc.
  void write_private(const ScannedField& field, const AddressScan& scan) {
    if (names_anybody_) return;
    names_anybody_ = true;
    const bool alone = scan.items.size() == 1 && written_ == scan.items.data() && field.rule->name == "to";
    if (alone && scan.faithful && leaves_as_it_came(*written_)) return write_as_it_came(out_, *field.field);
    ListWriter list;
    write_correspondent(list);
    list.write(out_, "To");
  }

  void write_correspondent(ListWriter& list) const {
    list.mailbox(written_ != nullptr ? harmless_phrase(*written_) : std::string(), to_.correspondent.spelling,
                 written_ != nullptr ? harmless_comments(*written_) : std::vector<std::string>());
  }

  /// `recipients = "open"`: the list as the member wrote it, with real addresses.
  void write_open(const ScannedField& field, const AddressScan& scan) {
    bool same = scan.faithful;
    ListWriter list;
    for (const AddressItem& item : scan.items) {
      same = same && leaves_as_it_came(item);
      if (item.kind == Kind::group_start) list.group_start(harmless_phrase(item));
      if (item.kind == Kind::group_end) list.group_end();
      if (item.kind != Kind::mailbox) continue;
      const StandIn& stand_in = in_lists_[item.found];
      if (stand_in.action == Action::remove) continue;
      list.mailbox(harmless_phrase(item), stand_in.action == Action::keep ? item.spelling : stand_in.text,
                   harmless_comments(item));
    }
    if (list.empty()) return;
    names_anybody_ = true;
    if (same) return write_as_it_came(out_, *field.field);
    list.write(out_, field.field->name);
  }

  /// No To and no Cc is left, or there was none: this copy's correspondent stood in Bcc.
  void write_nobody() {
    ListWriter list;
    if (open_) {
      list.group_start("undisclosed-recipients");
    } else {
      write_correspondent(list);
    }
    list.write(out_, "To");
  }

  [[nodiscard]] bool leaves_as_it_came(const AddressItem& item) const {
    if (!may_cross(item.phrase)) return false;
    for (const WrittenText& comment : item.comments) {
      if (!may_cross(comment)) return false;
    }
    if (item.kind != Kind::mailbox) return true;
    const StandIn& stand_in = in_lists_[item.found];
    return stand_in.action == Action::keep ||
           (stand_in.action == Action::replace && stand_in.text == item.spelling);
  }

  /// What the member calls a correspondent crosses, unless it holds an address or is the local part of a
  /// phantom, which phones write that know no name.
  [[nodiscard]] bool may_cross(const WrittenText& name) const {
    if (!name.scan.harmless()) return false;
    const std::string decoded = message::decode_words(name.written, true);
    const std::string_view word = trim(decoded);
    const std::string address = std::string(word) + "@" + to_.member.address->domain->phantom_domain;
    return !looks_like_phantom(word) || behind_phantom(address) == nullptr;
  }

  [[nodiscard]] std::string harmless_phrase(const AddressItem& item) const {
    return may_cross(item.phrase) ? item.phrase.written : std::string();
  }

  [[nodiscard]] std::vector<std::string> harmless_comments(const AddressItem& item) const {
    std::vector<std::string> comments;
    for (const WrittenText& comment : item.comments) {
      if (may_cross(comment)) comments.push_back(comment.written);
    }
    return comments;
  }

  const ParsedHeader::Impl& header_;
  const Outward& to_;
  std::string correspondent_;  ///< canonical
  bool open_;
  std::string phantom_;            ///< lower-case
  StandIn author_;                 ///< what stands in text for whoever is not to be seen
  std::vector<std::size_t> mine_;  ///< the numbers of the correspondent's addresses: itself, its phantom
  IdAudience audience_;
  std::unordered_set<std::string_view> recipients_;
  StandIns in_lists_;
  StandIns in_text_;
  const AddressItem* written_ = nullptr;
  bool names_anybody_ = false;
  std::string out_;
};

}  // namespace

std::string rewrite_outward(const ParsedHeader& header, const Outward& to) {
  return OutwardCopy(header.impl(), to).write();
}

}  // namespace kage::mapping
