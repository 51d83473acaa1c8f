// Output of single fields. Everything goes through message::write_field or is a field that came in whole.
#include "mapping/rewrite/writer.h"

#include <algorithm>

#include "base/text.h"
#include "message/encoded_word.h"
#include "message/header.h"
#include "message/mime.h"

namespace kage::mapping {
namespace {

constexpr std::size_t kMaxIdOctets = 7500;  ///< of one id field
constexpr std::size_t kFirstIds = 2;        ///< kept of References that are too long: the thread's beginning
constexpr std::string_view kNamelessGroup = "undisclosed-recipients";
constexpr std::size_t kMaxFileName = 200;  ///< octets of a file name that is written anew

/// Every line has at most 998 octets and something on it.
bool has_good_lines(std::string_view raw) {
  while (!raw.empty()) {
    const std::size_t end = raw.find("\r\n");
    if (end == std::string_view::npos || end > message::kMaxLine || trim(raw.substr(0, end)).empty())
      return false;
    raw.remove_prefix(end + 2);
  }
  return true;
}

/// At most `size` octets, not cut inside a character, nor inside what would then be another address.
std::string_view shortened(std::string_view utf8, std::size_t size) {
  if (utf8.size() <= size) return utf8;
  while (size > 0 && (static_cast<unsigned char>(utf8[size]) & 0xC0U) == 0x80U) --size;
  const std::string_view cut = utf8.substr(0, size);
  const std::string_view word = cut.substr(cut.find_last_of(" \t") + 1);
  return word.contains('@') ? trim(cut.substr(0, cut.size() - word.size())) : cut;
}

void write_text(std::string& out, const ScannedField& field, const TextScan& scan,
                const StandIns& stand_ins) {
  if (all_stay(scan.text, stand_ins)) return write_as_it_came(out, *field.field);
  message::write_field(out, field.field->name, message::encode_words(replaced(scan.text, stand_ins)));
}

std::string written(const ParameterScan::Parameter& parameter, const StandIns& stand_ins) {
  if (parameter.kind == ParameterScan::Parameter::Kind::as_written) return parameter.value;
  const std::string name = replaced(parameter.text, stand_ins);
  return message::write_parameter(parameter.name,
                                  std::string(shortened(name, kMaxFileName)) + parameter.extension);
}

void write_parameters(std::string& out, const ScannedField& field, const ParameterScan& scan,
                      const StandIns& stand_ins) {
  if (scan.harmless) return write_as_it_came(out, *field.field);
  if (scan.value.empty()) return;
  std::string value = scan.value;
  for (const ParameterScan::Parameter& parameter : scan.parameters) {
    value += "; ";
    value += written(parameter, stand_ins);
  }
  message::write_field(out, field.field->name, value);
}

void write_pass(std::string& out, const ScannedField& field, const PassScan& scan) {
  if (scan.harmless) return write_as_it_came(out, *field.field);
  if (!scan.value.empty()) message::write_field(out, field.field->name, scan.value);
}

/// What the author is called, decoded; nothing where it holds an address.
std::string author_name(const AddressItem& item) {
  if (!item.phrase.written.empty()) {
    return item.phrase.scan.harmless() ? message::decode_words(item.phrase.written, true) : std::string();
  }
  if (item.comments.empty()) return {};
  // A comment has the escapes of a quoted-string. Without them it is another text than the one that was
  // looked at.
  std::string name = message::decode_words("\"" + item.comments.front().written + "\"", true);
  AddressIndex scratch;
  const bool harmless =
      item.comments.front().scan.harmless() && scan_decoded(name, Care::text, scratch).harmless();
  return harmless ? name : std::string();
}

}  // namespace

void write_as_it_came(std::string& out, const message::Field& field) {
  if (has_good_lines(field.raw)) {
    out += field.raw;
  } else {
    // Folds must not get into the two-byte states of raw ISO-2022-JP.
    const std::string line = flat(field.body);
    const bool states = line.find('\x1b') != std::string::npos;
    message::write_field(out, field.name, states ? message::encode_words(message::decode_words(line)) : line);
  }
}

void write_other(std::string& out, const ScannedField& field, const StandIns& stand_ins) {
  if (const auto* text = std::get_if<TextScan>(&field.scan)) write_text(out, field, *text, stand_ins);
  if (const auto* scan = std::get_if<ParameterScan>(&field.scan))
    write_parameters(out, field, *scan, stand_ins);
  if (const auto* pass = std::get_if<PassScan>(&field.scan)) write_pass(out, field, *pass);
}

void write_ids(std::string& out, std::string_view name, const std::vector<std::string>& ids) {
  if (ids.empty()) return;
  std::size_t size = 0;
  std::vector<std::string> tokens;
  const std::size_t first = std::min(kFirstIds, ids.size());
  const auto add = [&](const std::string& id) {
    size += id.size() + 5;
    if (size > kMaxIdOctets) return false;
    tokens.push_back("<" + id + ">");
    return true;
  };
  for (std::size_t i = 0; i < first; ++i) add(ids[i]);
  for (std::size_t i = ids.size(); i-- > first && add(ids[i]);) {
  }
  std::reverse(tokens.begin() + static_cast<std::ptrdiff_t>(std::min(first, tokens.size())), tokens.end());
  if (!tokens.empty()) message::write_field(out, name, tokens);
}

void write_id_field(std::string& out, const ScannedField& field, const IdScan& scan,
                    std::vector<std::string> ids) {
  if (field.rule->has_one_id() && ids.size() > 1) ids.resize(1);
  if (scan.faithful && !ids.empty() && ids == scan.ids) return write_as_it_came(out, *field.field);
  write_ids(out, field.field->name, ids);
}

void write_missing(std::string& out, const ParsedHeader::Impl& header, std::string_view message_id,
                   std::string_view date) {
  if (header.message_id.empty() && !message_id.empty()) {
    write_ids(out, "Message-ID", {std::string(message_id)});
  }
  const bool has_date = std::ranges::any_of(header.scanned, [](const ScannedField& field) {
    const auto* scan = std::get_if<PassScan>(&field.scan);
    return field.rule->name == "date" && scan != nullptr && (scan->harmless || !scan->value.empty());
  });
  if (!has_date && !date.empty()) message::write_field(out, "Date", date);
}

void ListWriter::begin_item() {
  if (comma_) tokens_.back() += ",";
  comma_ = false;
}

/// Words become tokens, so that long names can be folded; runs of white space stay in one piece.
void ListWriter::words(std::string_view text) {
  if (text.find("  ") != std::string_view::npos) {
    tokens_.emplace_back(text);
    return;
  }
  while (!text.empty()) {
    const std::size_t end = text.find(' ');
    tokens_.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) return;
    text.remove_prefix(end + 1);
  }
}

void ListWriter::mailbox(std::string_view phrase, std::string_view address,
                         const std::vector<std::string>& comments) {
  begin_item();
  words(phrase);
  tokens_.push_back(phrase.empty() ? std::string(address) : "<" + std::string(address) + ">");
  for (const std::string& comment : comments) words("(" + comment + ")");
  comma_ = true;
}

void ListWriter::group_start(std::string_view phrase) {
  group_end();
  begin_item();
  words(phrase.empty() ? kNamelessGroup : phrase);
  tokens_.back() += ":";
  in_group_ = true;
}

void ListWriter::group_end() {
  if (!in_group_) return;
  tokens_.back() += ";";
  in_group_ = false;
  comma_ = true;
}

void ListWriter::write(std::string& out, std::string_view name) {
  group_end();
  if (!tokens_.empty()) message::write_field(out, name, tokens_);
}

std::string shown_phrase(const WrittenText& phrase, const StandIns& stand_ins) {
  if (all_stay(phrase.scan, stand_ins)) return phrase.written;
  return message::encode_phrase(replaced(phrase.scan, stand_ins));
}

std::vector<std::string> shown_comments(const AddressItem& item, const StandIns& stand_ins) {
  std::vector<std::string> comments;
  for (const WrittenText& comment : item.comments) {
    if (all_stay(comment.scan, stand_ins)) comments.push_back(comment.written);
  }
  return comments;
}

bool hides_name(const RouteTable& routes, const Member& member, const ScannedField& field,
                const AddressItem& item, const AddressIndex& index) {
  if (member.address->spec.name != NamePolicy::hide) return false;
  const bool ours = field.rule->name == "from" && item.found != kNoAddress &&
                    routes.find_address(index.all()[item.found].canonical) != nullptr;
  return !ours;
}

bool item_stays(const AddressItem& item, const StandIns& stand_ins, bool hides_names) {
  if (item.found != kNoAddress && stand_ins[item.found].action != StandIn::Action::keep) return false;
  if (hides_names && (!item.phrase.written.empty() || !item.comments.empty())) return false;
  return all_stay(item.phrase.scan, stand_ins) &&
         std::ranges::all_of(item.comments, [&stand_ins](const WrittenText& comment) {
           return all_stay(comment.scan, stand_ins);
         });
}

void add_mailbox(ListWriter& list, const AddressItem& item, std::string_view address,
                 const StandIns& stand_ins, bool with_name) {
  if (!with_name) return list.mailbox({}, address, {});
  list.mailbox(shown_phrase(item.phrase, stand_ins), address, shown_comments(item, stand_ins));
}

bool is_shown_author(const ScannedField& field, const AddressItem& item, const StandIns& stand_ins,
                     const AddressIndex& index, std::string_view author) {
  return !author.empty() && field.rule->name == "from" && item.found != kNoAddress &&
         stand_ins[item.found].action == StandIn::Action::replace &&
         index.all()[item.found].canonical == author;
}

std::string author_phrase(const AddressItem& item, std::string_view real, bool with_name) {
  return message::encode_phrase(shown_author_name(with_name ? author_name(item) : std::string(), real));
}

std::string subject_without_marker(const Anonymity& anonymity, const TextScan* text,
                                   const StandIns& stand_ins, std::string_view decoded) {
  if (text == nullptr || text->text.harmless()) return without_marker(anonymity, decoded);
  std::string shown = replaced(text->text, stand_ins);
  // Before the first address every place is the same in the text with stand-ins. What the marker touches is
  // an address as a whole ("184root@mailhost", which another field has too).
  const std::size_t end = anonymity.marker_begin + anonymity.marker_size;
  const bool same = decoded.substr(0, end) == std::string_view(text->text.decoded).substr(0, end);
  return same && text->text.spans.front().offset >= end ? without_marker(anonymity, shown) : shown;
}

}  // namespace kage::mapping
