// Parsing a header block once for all copies: which fields may cross, and what in them has to be replaced.
#include "mapping/rewrite/header.h"

#include <algorithm>
#include <array>
#include <unordered_map>
#include <utility>

#include "base/text.h"

namespace kage::mapping {
namespace {

/// CRLF line ends; a bare CR and NUL, which no field may carry, become spaces. Untouched when there is
/// nothing to do.
void normalise(std::string& block) {
  bool clean = block.empty() || block.back() == '\n';
  for (std::size_t i = 0; clean && i < block.size(); ++i) {
    if (block[i] == '\0') clean = false;
    if (block[i] == '\r') clean = i + 1 < block.size() && block[i + 1] == '\n';
    if (block[i] == '\n' && (i == 0 || block[i - 1] != '\r')) clean = false;
  }
  if (clean) return;
  std::string out;
  out.reserve(block.size() + 64);
  for (std::size_t i = 0; i < block.size(); ++i) {
    const char c = block[i];
    if (c == '\n') {
      out += "\r\n";
    } else if (c == '\r' && i + 1 < block.size() && block[i + 1] == '\n') {
      continue;
    } else {
      out.push_back(c == '\r' || c == '\0' ? ' ' : c);
    }
  }
  if (!out.ends_with('\n')) out += "\r\n";
  block = std::move(out);
}

FieldClass scan_class(const FieldRule& rule) {
  return rule.towards_member != FieldClass::drop ? rule.towards_member : rule.towards_correspondent;
}

class Scanner {
 public:
  explicit Scanner(ParsedHeader::Impl& impl) : impl_(impl) {}

  Result<> run() {
    impl_.scanned.reserve(impl_.fields.size());
    for (const message::Field& field : impl_.fields) choose(field);
    // Address fields first: other text is compared with what they hold.
    for (ScannedField& field : impl_.scanned) {
      if (scan_class(*field.rule) != FieldClass::addresses) continue;
      scan_address_field(field);
      if (!status_) return status_;
    }
    for (ScannedField& field : impl_.scanned) scan_other(field);
    if (impl_.index.full()) return fail(Errc::limit, "too many addresses");
    mark_visible();
    find_author();
    find_message_id();
    return {};
  }

 private:
  void choose(const message::Field& field) {
    if (field.name.empty()) return;
    if (field.is("Received")) ++impl_.hops;
    if (field.is("From")) ++from_fields_;
    const FieldRule& rule = find_rule(field.name);
    if (scan_class(rule) == FieldClass::drop) return;
    if (rule.single) {
      const auto [place, fresh] = first_.try_emplace(&rule, impl_.scanned.size());
      if (!fresh) {
        // Broken mail has two To fields; no recipient is lost.
        if (rule.name == "to" || rule.name == "cc") more_[place->second].push_back(&field);
        return;
      }
    }
    impl_.scanned.push_back({&field, &rule, {}});
  }

  void scan_address_field(ScannedField& field) {
    AddressScan scan = scan_addresses(field.field->body, impl_.index, status_);
    const auto more = more_.find(static_cast<std::size_t>(&field - impl_.scanned.data()));
    if (more != more_.end()) {
      for (const message::Field* other : more->second) {
        if (!status_) return;
        AddressScan next = scan_addresses(other->body, impl_.index, status_);
        std::ranges::move(next.items, std::back_inserter(scan.items));
      }
      scan.faithful = false;
    }
    if (status_ && impl_.index.full()) status_ = fail(Errc::limit, "too many addresses");
    field.scan = std::move(scan);
  }

  void scan_other(ScannedField& field) {
    if (impl_.index.full()) return;
    scan_by_class(scan_class(*field.rule), field, impl_.index);
  }

  void mark_visible() {
    impl_.visible.assign(impl_.index.all().size(), false);
    for (const std::string_view name : {"to", "cc"}) {
      const AddressScan* scan = impl_.addresses_of(name);
      if (scan == nullptr) continue;
      for (const AddressItem& item : scan->items) {
        if (item.found != kNoAddress) impl_.visible[item.found] = true;
      }
    }
  }

  void find_author() {
    const AddressScan* from = impl_.addresses_of("from");
    if (from == nullptr || from_fields_ != 1) return;
    const AddressItem* author = nullptr;
    for (const AddressItem& item : from->items) {
      if (item.found == kNoAddress) continue;
      if (author != nullptr) return;
      author = &item;
    }
    if (author == nullptr) return;
    auto address = message::parse_address(author->spelling);
    if (address) impl_.author = std::move(*address);
  }

  void find_message_id() {
    for (const ScannedField& field : impl_.scanned) {
      const IdScan* scan = std::get_if<IdScan>(&field.scan);
      if (field.rule->name == "message-id" && scan != nullptr && !scan->ids.empty()) {
        impl_.message_id = scan->ids.front();
      }
    }
  }

  ParsedHeader::Impl& impl_;
  Result<> status_;
  std::size_t from_fields_ = 0;
  std::unordered_map<const FieldRule*, std::size_t> first_;  ///< place in `scanned` of fields that cross once
  std::unordered_map<std::size_t, std::vector<const message::Field*>> more_;
};

}  // namespace

const AddressScan* ParsedHeader::Impl::addresses_of(std::string_view lower_name) const {
  for (const ScannedField& field : scanned) {
    if (field.rule->name == lower_name) return std::get_if<AddressScan>(&field.scan);
  }
  return nullptr;
}

ParsedHeader::ParsedHeader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ParsedHeader::ParsedHeader(ParsedHeader&&) noexcept = default;
ParsedHeader& ParsedHeader::operator=(ParsedHeader&&) noexcept = default;
ParsedHeader::~ParsedHeader() = default;

Result<ParsedHeader> ParsedHeader::parse(std::string block, const message::HeaderLimits& limits) {
  if (block.size() > limits.max_octets) return fail(Errc::limit, "header block is too large");
  auto impl = std::make_unique<Impl>();
  impl->block = std::move(block);
  impl->limits = limits;
  normalise(impl->block);
  message::HeaderLimits widened = limits;
  widened.max_octets = std::max(limits.max_octets, impl->block.size());  // line ends may have grown
  auto fields = message::tokenize(impl->block, widened);
  if (!fields) return std::unexpected(fields.error());
  impl->fields = std::move(*fields);
  if (auto scanned = Scanner(*impl).run(); !scanned) return std::unexpected(scanned.error());
  return ParsedHeader(std::move(impl));
}

Result<ParsedHeader> ParsedHeader::derive(std::string block) const {
  return parse(std::move(block), {2 * impl_->limits.max_octets, 2 * impl_->limits.max_fields});
}

std::span<const message::Field> ParsedHeader::fields() const {
  return impl_->fields;
}

std::string_view ParsedHeader::body_of(std::string_view name) const {
  for (const message::Field& field : impl_->fields) {
    if (field.is(name)) return field.body;
  }
  return {};
}

std::optional<message::Address> ParsedHeader::author() const {
  return impl_->author;
}

std::span<const ParsedHeader::Found> ParsedHeader::addresses() const {
  return impl_->index.all();
}

std::string_view ParsedHeader::message_id() const {
  return impl_->message_id;
}

std::size_t ParsedHeader::hops() const {
  return impl_->hops;
}

std::string ParsedHeader::identity() const {
  constexpr std::array<std::string_view, 6> kNames = {"Message-ID", "Date", "From", "To", "Cc", "Subject"};
  std::string out;
  for (const std::string_view name : kNames) {
    for (const message::Field& field : impl_->fields) {
      if (!field.is(name)) continue;
      const std::string body = message::unfold(field.body);
      // The length keeps two different messages from having the same octets.
      out += lower(name) + ":" + std::to_string(body.size()) + ":" + body + "\n";
    }
  }
  return out;
}

}  // namespace kage::mapping
