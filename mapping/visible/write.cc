// The fields of a visible header. A field that needs no change is copied; every other one goes through
// message::write_field.
#include "mapping/visible/write.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "mapping/rewrite/ids.h"
#include "mapping/rewrite/writer.h"
#include "message/address_text.h"
#include "message/encoded_word.h"
#include "message/mime.h"

namespace kage::mapping {
namespace {

using Action = StandIn::Action;
using Kind = message::ListItem::Kind;

constexpr std::size_t kItemCost = 5;  ///< octets of a list around an address: ", " and its share of folds

/// Fields that ENVELOPE and BODYSTRUCTURE tell of (RFC 9051 §7.5.2): they give way last.
bool is_essential(const FieldRule& rule) {
  constexpr std::array<std::string_view, 10> kNames = {"date",       "subject",     "from", "sender",
                                                       "reply-to",   "to",          "cc",   "in-reply-to",
                                                       "message-id", "mime-version"};
  return rule.name.starts_with("content-") || std::ranges::find(kNames, rule.name) != kNames.end();
}

bool is_file_name(const ParameterScan::Parameter& parameter) {
  return parameter.kind == ParameterScan::Parameter::Kind::rewritten;
}

/// UTF-8 that fits into about `octets` once it is written.
std::string fitting(std::string text, std::size_t octets) {
  // Encoded-words take 75 octets for 45, and more where characters do not fit evenly.
  const std::size_t most = all_ascii(text) ? octets : octets > 16 ? (octets - 16) / 2 : 0;
  if (text.size() <= most) return text;
  std::size_t cut = most;
  // Half an address would be another one.
  const bool words = text.find('@') != std::string::npos || !message::find_addresses(text).empty();
  if (words) cut = text.rfind(' ', cut) == std::string::npos ? 0 : text.rfind(' ', cut);
  while (cut > 0 && (static_cast<unsigned char>(text[cut]) & 0xC0U) == 0x80U) --cut;
  text.resize(cut);
  return text;
}

void to_lf(std::string& text) {
  std::erase(text, '\r');
}

}  // namespace

VisibleWriter::VisibleWriter(Deriver& deriver, const Viewer& viewer, const VisibleScan& scan, LineEnds ends)
    : deriver_(deriver), viewer_(viewer), scan_(scan), ends_(ends) {
  const std::string& domain = viewer.member->address->domain->phantom_domain;
  stand_ins_.reserve(scan.index.all().size());
  for (const ParsedHeader::Found& found : scan.index.all()) {
    if (stays_in_view(*viewer.routes, *viewer.member, found.canonical)) {
      stand_ins_.push_back({Action::keep, {}});
    } else {
      stand_ins_.push_back(
          {Action::replace, std::string(deriver.phantom(viewer, found.canonical)) + "@" + domain});
    }
  }
  removals_ = stand_ins_;
  for (StandIn& stand_in : removals_) {
    if (stand_in.action == Action::replace) stand_in = {Action::remove, {}};
  }
  stays_.reserve(scan.shown.size());
  for (const ScannedField& field : scan.shown) stays_.push_back(stays(field));
}

void VisibleWriter::report(std::vector<PhantomWrite>& fresh) const {
  const auto found = scan_.index.all();
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (stand_ins_[i].action != Action::replace) continue;
    const std::string& address = stand_ins_[i].text;
    fresh.push_back({viewer_.member, address.substr(0, address.find('@')), found[i].address.spelling});
  }
}

void VisibleWriter::write(Draft& draft, Step step, Extent room) {
  step_ = step;
  limits_.assign(scan_.shown.size(), kNoLimit);
  if (step >= Step::recipients) limit_recipients(draft, room);
  for (std::size_t i = 0; i < scan_.shown.size(); ++i) write_field(draft, i);
}

void VisibleWriter::write_field(Draft& draft, std::size_t number) {
  const ScannedField& field = scan_.shown[number];
  if (is_given_up(field)) return;
  if (stays_[number]) {
    draft.out += field.field->raw;
    return;
  }
  made_.clear();
  if (const auto* addresses = std::get_if<AddressScan>(&field.scan)) {
    write_addresses(field, *addresses, limits_[number]);
  } else if (const auto* ids = std::get_if<IdScan>(&field.scan)) {
    write_id_field(field, *ids);
  } else if (const auto* text = std::get_if<TextScan>(&field.scan)) {
    write_text(field, *text);
  } else if (const auto* parameters = std::get_if<ParameterScan>(&field.scan)) {
    write_parameters(field, *parameters);
  } else {
    write_other(made_, field, stand_ins_);
  }
  if (made_.empty()) return;
  if (ends_ == LineEnds::lf) to_lf(made_);
  draft.rewritten.push_back({draft.out.size(), draft.out.size() + made_.size()});
  draft.out += made_;
}

bool VisibleWriter::hides(const ScannedField& field, const AddressItem& item) const {
  return hides_name(*viewer_.routes, *viewer_.member, field, item, scan_.index);
}

bool VisibleWriter::is_given_up(const ScannedField& field) const {
  if (step_ == Step::none) return false;
  const FieldRule& rule = *field.rule;
  if (!is_essential(rule) && (rule.name != "references" || step_ >= Step::ids)) return true;
  return rule.name == "in-reply-to" && step_ >= Step::ids;
}

/// Whether the field leaves byte for byte.
bool VisibleWriter::stays(const ScannedField& field) {
  if (const auto* addresses = std::get_if<AddressScan>(&field.scan)) return stays(field, *addresses);
  if (const auto* text = std::get_if<TextScan>(&field.scan)) {
    return all_stay(text->text, stand_ins_) && judge_subject(field).marker_size == 0;
  }
  if (const auto* parameters = std::get_if<ParameterScan>(&field.scan)) return parameters->harmless;
  if (const auto* pass = std::get_if<PassScan>(&field.scan)) return pass->harmless;
  const auto* ids = std::get_if<IdScan>(&field.scan);
  if (ids == nullptr || !ids->faithful || ids->ids.empty()) return false;
  if (field.rule->has_one_id() && ids->ids.size() > 1) return false;
  return std::ranges::all_of(ids->ids, [&](const std::string& id) {
    if (field.rule->name == "content-id") return masked_content_id(*viewer_.member, id) == id;
    return deriver_.id(viewer_, id) == id;
  });
}

/// Whether a name holds no other address than the one that this phantom stands for: so Kagemusha itself wrote
/// it for an author who is shown, and nobody else could have.
bool VisibleWriter::names_itself(const ScannedField& field, const AddressItem& item) const {
  if (field.rule->name != "from" || item.phrase.scan.harmless() || item.found == kNoAddress) return false;
  if (!may_show_authors(viewer_.member->address->spec)) return false;
  const std::string& canonical = scan_.index.all()[item.found].canonical;
  return std::ranges::all_of(item.phrase.scan.spans, [&](const ScannedText::Span& span) {
    const StandIn& stand_in = stand_ins_[span.found];
    return stand_in.action == Action::replace && stand_in.text == canonical;
  });
}

/// The marker before the subject (contract R7.1).
Anonymity VisibleWriter::judge_subject(const ScannedField& field) const {
  const AddressSpec& spec = viewer_.member->address->spec;
  if (field.rule->name != "subject" || !may_show_authors(spec)) return {};
  return judge_anonymity(spec, subject_to_judge(field.field->body));
}

bool VisibleWriter::stays(const ScannedField& field, const AddressScan& scan) const {
  return scan.faithful && !scan.items.empty() &&
         std::ranges::all_of(scan.items, [&](const AddressItem& item) {
           return item_stays(item, stand_ins_, hides(field, item)) ||
                  (names_itself(field, item) && stand_ins_[item.found].action == Action::keep);
         });
}

void VisibleWriter::write_addresses(const ScannedField& field, const AddressScan& scan, std::size_t limit) {
  ListWriter list;
  // Readers of From expect an address (RFC 6854 §4).
  const bool groups = field.rule->name != "from" && step_ < Step::recipients;
  std::size_t written = 0;
  for (const AddressItem& item : scan.items) {
    const bool names = step_ < Step::names && !hides(field, item);
    if (item.kind == Kind::group_start && groups) {
      list.group_start(names ? shown_phrase(item.phrase, stand_ins_) : "");
    } else if (item.kind == Kind::group_end && groups) {
      list.group_end();
    } else if (item.kind == Kind::mailbox && written < limit) {
      const StandIn& stand_in = stand_ins_[item.found];
      const std::string_view address =
          stand_in.action == Action::keep ? item.spelling : std::string_view(stand_in.text);
      if (is_shown_author(field, item, stand_ins_, scan_.index, viewer_.shown_author)) {
        list.mailbox(author_phrase(item, item.spelling, names), address, {});
      } else if (names_itself(field, item)) {
        list.mailbox(item.phrase.written, address, {});
      } else {
        add_mailbox(list, item, address, stand_ins_, names);
      }
      ++written;
    }
  }
  list.write(made_, field.field->name);
}

void VisibleWriter::write_id_field(const ScannedField& field, const IdScan& scan) {
  if (field.rule->name == "content-id") return write_content_id(field, scan);
  std::vector<std::string> ids;
  ids.reserve(scan.ids.size());
  const bool one = field.rule->has_one_id();
  for (const std::string& id : scan.ids) {
    if (one && !ids.empty()) break;
    const bool shortened = one && step_ >= Step::ids;
    if (shortened) {
      ids.push_back(short_id(*viewer_.member, id));
    } else {
      ids.emplace_back(deriver_.id(viewer_, id));
    }
  }
  if (step_ >= Step::references && field.rule->name == "references" && ids.size() > 2) {
    // The beginning of the thread, and as many of the nearest as had room before.
    std::size_t room = field.field->raw.size();
    const auto fits = [&](const std::string& id) {
      const std::size_t cost = id.size() + 5;
      if (cost > room) return false;
      room -= cost;
      return true;
    };
    room -= std::min(room, ids.front().size() + ids.back().size() + 24);
    std::size_t first = ids.size() - 1;
    while (first > 1 && fits(ids[first - 1])) --first;
    ids.erase(ids.begin() + 1, ids.begin() + static_cast<std::ptrdiff_t>(first));
  }
  write_ids(made_, field.field->name, ids);
}

/// Content-ID keeps its size: it is part of what BODYSTRUCTURE tells, and of no thread.
void VisibleWriter::write_content_id(const ScannedField& field, const IdScan& scan) {
  if (scan.ids.empty()) return;
  const std::string& id = scan.ids.front();
  const std::string masked = masked_content_id(*viewer_.member, id);
  const std::string_view raw = field.field->raw;
  const std::size_t at = raw.find(id);
  if (scan.faithful && scan.ids.size() == 1 && at != std::string_view::npos) {
    made_.append(raw.substr(0, at)).append(masked).append(raw.substr(at + id.size()));
  } else {
    write_ids(made_, field.field->name, {masked});
  }
}

void VisibleWriter::write_text(const ScannedField& field, const TextScan& scan) {
  if (const Anonymity anonymity = judge_subject(field); anonymity.marker_size > 0) {
    const std::string subject =
        subject_without_marker(anonymity, &scan, stand_ins_, message::decode_words(flat(field.field->body)));
    if (step_ < Step::text && !subject.empty()) {
      message::write_field(made_, field.field->name, message::encode_words(subject));
    }
    return;
  }
  if (step_ < Step::text) return write_other(made_, field, stand_ins_);
  if (step_ >= Step::fields) return;
  const std::string text = fitting(replaced(scan.text, removals_), field.field->body.size());
  message::write_field(made_, field.field->name, message::encode_words(text));
}

void VisibleWriter::write_parameters(const ScannedField& field, const ParameterScan& scan) {
  if (step_ < Step::text) return write_other(made_, field, stand_ins_);
  if (scan.value.empty()) return;
  // Type, charset, boundary and their like; a file name that held an address goes.
  std::string value = scan.value;
  for (const ParameterScan::Parameter& parameter : scan.parameters) {
    if (is_file_name(parameter)) continue;
    if (step_ >= Step::fields && parameter.name != "charset" && parameter.name != "boundary") continue;
    value += step_ >= Step::fields ? ";" : "; ";
    value += parameter.value;
  }
  message::write_field(made_, field.field->name, value);
}

/// Shares out what room there is: authors first, then To, Cc and the others.
void VisibleWriter::limit_recipients(Draft& draft, Extent room) {
  for (std::size_t i = 0; i < scan_.shown.size(); ++i) {
    if (std::holds_alternative<AddressScan>(scan_.shown[i].scan) && !stays_[i]) limits_[i] = 0;
  }
  if (step_ >= Step::fields) return;
  const std::size_t begin = draft.out.size();
  for (std::size_t i = 0; i < scan_.shown.size(); ++i) write_field(draft, i);
  const std::size_t used = draft.out.size() - begin;
  draft.out.resize(begin);
  draft.rewritten.clear();
  std::size_t left = room.octets - std::min(room.octets, used);
  constexpr std::array<std::string_view, 5> kOrder = {"from", "to", "cc", "reply-to", "sender"};
  for (const std::string_view name : kOrder) {
    for (std::size_t i = 0; i < scan_.shown.size(); ++i) {
      const ScannedField& field = scan_.shown[i];
      if (field.rule->name != name || stays_[i]) continue;
      std::size_t cost = field.field->name.size() + 4;
      for (const AddressItem& item : std::get<AddressScan>(field.scan).items) {
        if (item.found == kNoAddress) continue;
        const StandIn& stand_in = stand_ins_[item.found];
        cost += kItemCost + (stand_in.action == Action::keep ? item.spelling.size() : stand_in.text.size());
        if (cost > left) break;
        left -= cost;
        cost = 0;
        ++limits_[i];
      }
    }
  }
}

}  // namespace kage::mapping
