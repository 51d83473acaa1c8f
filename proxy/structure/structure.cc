// BODY and BODYSTRUCTURE (RFC 9051 §7.5.2): which blocks they need, and how the member sees them.
#include "proxy/structure/structure.h"

#include <algorithm>
#include <array>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "base/text.h"
#include "proxy/human_text.h"
#include "proxy/structure/envelope.h"
#include "proxy/structure/mime.h"

namespace kage::proxy {
namespace {

constexpr std::uint32_t kNone = ImapValue::kNone;
constexpr std::size_t kMaxDepth = 100;  // of bodies in bodies
constexpr std::size_t kMaxParts = 10'000;
constexpr std::size_t kMaxSection = 1'000;  // octets of a section's name

BodyPlace top_place() {
  return {ImapValue::kRoot, "HEADER", {}, true};
}

Result<Body> describe(const ImapValue& value, const BodyPlace& place) {
  if (place.header.size() > kMaxSection) return fail(Errc::limit, "parts nested too deep");
  return describe_body(value, place);
}

bool needs_own_block(const ImapValue& value, const Body& body) {
  const auto slots = std::to_array<std::pair<std::uint32_t, Slot>>({
      {body.parameters, Slot::content_type},
      {body.id, Slot::content_id},
      {body.description, Slot::content_description},
      {body.encoding, Slot::content_encoding},
      {body.md5, Slot::content_md5},
      {body.disposition, Slot::content_disposition},
      {body.language, Slot::content_language},
      {body.location, Slot::content_location},
  });
  for (const auto& [node, slot] : slots) {
    if (is_sensitive(value, node, slot)) return true;
  }
  // A structure that needs no block passes as it is: these are never words of ours.
  return std::ranges::any_of(std::array{body.type, body.subtype}, [&](std::uint32_t node) {
    return node != kNone && may_hold_address(value.text(node));
  });
}

/// A word of the upstream's that has no field to be told from but one that nobody rewrites: what could be an
/// address in it is not shown.
std::string plain_word(const ImapValue& value, std::uint32_t node, std::string_view instead) {
  return may_hold_address(value.text(node)) ? std::string(instead) : std::string(value.raw(node));
}

/// Writes bodies with a stack of what is still to come: pieces of text, and bodies.
class StructureWriter {
 public:
  StructureWriter(const ImapValue& value, const std::vector<KnownBlock>& blocks, bool utf8)
      : value_(value), utf8_(utf8) {
    for (const KnownBlock& block : blocks) {
      blocks_.try_emplace(block.section, SlotPair{SlotFields(block.original), SlotFields(block.visible)});
    }
  }

  Result<std::string> run() {
    stack_.push_back({{}, top_place(), true, 0});
    std::size_t parts = 0;
    while (!stack_.empty()) {
      Step step = std::move(stack_.back());
      stack_.pop_back();
      if (!step.is_body) {
        out_ += step.text;
        continue;
      }
      if (++parts > kMaxParts || step.depth > kMaxDepth) return fail(Errc::limit, "too many parts");
      auto body = describe(value_, step.place);
      if (!body) return std::unexpected(body.error());
      if (auto written = write(step, *body); !written) return std::unexpected(written.error());
    }
    return std::move(out_);
  }

 private:
  struct Step {
    std::string text;
    BodyPlace place;
    bool is_body = false;
    std::size_t depth = 0;
  };

  const SlotPair* block(const std::string& section) const {
    const auto found = blocks_.find(section);
    return found == blocks_.end() ? nullptr : &found->second;
  }

  std::string slot(std::uint32_t node, Slot slot, const SlotPair* fields) const {
    return " " + write_mime_slot(value_, node, slot, fields, utf8_);
  }

  /// A usual one as the upstream tells it: the octets are encoded so, whatever stands beside it in the field.
  /// Else what the visible field says; without one it is 7bit (RFC 2045 §6.1). Where the field is not known,
  /// nothing that anybody decodes.
  std::string encoding(std::uint32_t node, const SlotPair* fields) const {
    if (!is_sensitive(value_, node, Slot::content_encoding)) return std::string(value_.raw(node));
    std::string out = write_mime_slot(value_, node, Slot::content_encoding, fields, utf8_);
    if (out != "NIL") return out;
    return fields == nullptr ? "\"binary\"" : "\"7bit\"";
  }

  /// The optional slots at the end, as many as the upstream gave; what comes behind them is dropped.
  std::string extension(const Body& body, const SlotPair* fields) const {
    std::string out;
    if (body.disposition != kNone) out += slot(body.disposition, Slot::content_disposition, fields);
    if (body.language != kNone) out += slot(body.language, Slot::content_language, fields);
    if (body.location != kNone) out += slot(body.location, Slot::content_location, fields);
    return out;
  }

  Result<> write(const Step& step, Body& body) {
    const SlotPair* fields = block(step.place.header);
    out_ += "(";
    if (body.multipart) {
      std::string tail = " " + plain_word(value_, body.subtype, "\"mixed\"");
      if (body.parameters != kNone) tail += slot(body.parameters, Slot::content_type, fields);
      push_tail(tail + extension(body, fields) + ")");
      for (std::size_t i = body.parts.size(); i-- > 0;) push_body(std::move(body.parts[i]), step.depth + 1);
      return {};
    }
    out_ += plain_word(value_, body.type, "\"application\"");
    out_.append(" ").append(plain_word(value_, body.subtype, "\"octet-stream\""));
    out_ += slot(body.parameters, Slot::content_type, fields);
    out_ += slot(body.id, Slot::content_id, fields);
    out_ += slot(body.description, Slot::content_description, fields);
    out_.append(" ").append(encoding(body.encoding, fields));
    out_.append(" ").append(value_.raw(body.octets));
    std::string tail;
    if (body.lines != kNone) tail.append(" ").append(value_.raw(body.lines));
    if (body.md5 != kNone) tail += slot(body.md5, Slot::content_md5, fields);
    push_tail(tail + extension(body, fields) + ")");
    if (!body.message) return {};
    static const SlotPair nothing{SlotFields(""), SlotFields("")};
    const SlotPair* inner = block(body.parts.front().header);
    const auto envelope = write_envelope(value_, body.envelope, inner != nullptr ? *inner : nothing, utf8_);
    if (!envelope) return std::unexpected(envelope.error());
    out_.append(" ").append(*envelope).append(" ");
    push_body(std::move(body.parts.front()), step.depth + 1);
    return {};
  }

  void push_tail(std::string text) { stack_.push_back({std::move(text), {}, false, 0}); }
  void push_body(BodyPlace place, std::size_t depth) {
    stack_.push_back({{}, std::move(place), true, depth});
  }

  const ImapValue& value_;
  bool utf8_;
  std::unordered_map<std::string, SlotPair> blocks_;
  std::vector<Step> stack_;
  std::string out_;
};

struct SectionName {
  std::vector<std::size_t> numbers;
  bool text = false;
};

std::optional<SectionName> read_section(std::string_view section) {
  SectionName out;
  if (section.size() > kMaxSection) return std::nullopt;
  while (!section.empty()) {
    const std::size_t dot = std::min(section.find('.'), section.size());
    const std::string_view word = section.substr(0, dot);
    section.remove_prefix(std::min(dot + 1, section.size()));
    if (equals_nocase(word, "TEXT") && section.empty()) {
      out.text = true;
      return out;
    }
    const auto number = parse_number(word, kMaxParts);
    if (!number || *number == 0) return std::nullopt;
    out.numbers.push_back(*number);
  }
  if (out.numbers.empty()) return std::nullopt;
  return out;
}

/// Quoted where a header would have to.
std::string parameter_value(std::string_view text) {
  const auto plain = [](char c) {
    return c > ' ' && c < 0x7f && !std::string_view("()<>@,;:\\\"/[]?=").contains(c);
  };
  if (!text.empty() && std::ranges::all_of(text, plain)) return std::string(text);
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (c != '\r' && c != '\n') out += c;
  }
  return out + '"';
}

SectionContent content_of(const ImapValue& value, const Body& body) {
  SectionContent out;
  out.type = body.multipart ? "multipart" : lower(value.text(body.type));
  out.subtype = lower(value.text(body.subtype));
  if (body.encoding != kNone) out.encoding = lower(value.text(body.encoding));
  if (!body.multipart || body.parameters == kNone) return out;
  const auto parameters = value.elements(body.parameters);
  for (std::size_t i = 0; i + 1 < parameters.size(); i += 2) {
    const std::string name = lower(value.text(parameters[i]));
    // Servers tell "boundary*" and "boundary*0" (RFC 2231) as they came.
    if (name == "boundary" || name.starts_with("boundary*")) {
      out.boundary += "; " + name + "=" + parameter_value(value.text(parameters[i + 1]));
    }
  }
  return out;
}

}  // namespace

Result<std::vector<NeededBlock>> needed_blocks(std::string_view upstream) {
  const auto value = ImapValue::parse(upstream);
  if (!value) return std::unexpected(value.error());
  std::vector<NeededBlock> out;
  std::unordered_set<std::string> known;
  const auto need = [&](const std::string& section) {
    if (known.insert(section).second) out.push_back({section});
  };
  std::vector<std::pair<BodyPlace, std::size_t>> stack;
  stack.emplace_back(top_place(), 0);
  std::size_t parts = 0;
  while (!stack.empty()) {
    const auto [place, depth] = std::move(stack.back());
    stack.pop_back();
    if (++parts > kMaxParts || depth > kMaxDepth) return fail(Errc::limit, "too many parts");
    auto body = describe(*value, place);
    if (!body) return std::unexpected(body.error());
    if (needs_own_block(*value, *body)) need(place.header);
    if (body->message) need(body->parts.front().header);
    for (std::size_t i = body->parts.size(); i-- > 0;)
      stack.emplace_back(std::move(body->parts[i]), depth + 1);
  }
  return out;
}

Result<std::string> visible_structure(std::string_view upstream, const std::vector<KnownBlock>& blocks,
                                      bool utf8) {
  const auto value = ImapValue::parse(upstream);
  if (!value) return std::unexpected(value.error());
  return StructureWriter(*value, blocks, utf8).run();
}

Result<SectionContent> section_content(std::string_view structure, std::string_view section) {
  const auto value = ImapValue::parse(structure);
  if (!value) return std::unexpected(value.error());
  const auto name = read_section(section);
  if (!name) return fail(Errc::not_found, "no section of a part");
  auto body = describe(*value, top_place());
  // The body stands for a whole message's: number 1 of it is itself, if it is no multipart.
  bool in_message = true;
  for (const std::size_t number : name->numbers) {
    if (!body) return std::unexpected(body.error());
    if (!in_message && body->message) {
      body = describe(*value, body->parts.front());
      if (!body) return std::unexpected(body.error());
      in_message = true;
    }
    if (!body->multipart && in_message) {
      if (number != 1) return fail(Errc::not_found, "no such part");
      in_message = false;
      continue;
    }
    if (!body->multipart || number > body->parts.size()) return fail(Errc::not_found, "no such part");
    const BodyPlace place = body->parts[number - 1];
    body = describe(*value, place);
    in_message = false;
  }
  if (body && name->text && !name->numbers.empty()) {
    if (!body->message || in_message) return fail(Errc::not_found, "no such part");
    const BodyPlace place = body->parts.front();
    body = describe(*value, place);
  }
  if (!body) return std::unexpected(body.error());
  return content_of(*value, *body);
}

}  // namespace kage::proxy
