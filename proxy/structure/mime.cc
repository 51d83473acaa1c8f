// Bodies of a structure and their MIME slots.
#include "proxy/structure/mime.h"

#include <algorithm>

#include "base/text.h"
#include "mapping/rewrite/scan.h"
#include "message/mime.h"
#include "proxy/human_text.h"
#include "proxy/structure/parameters.h"
#include "proxy/structure/usual.h"

namespace kage::proxy {
namespace {

constexpr std::uint32_t kNone = ImapValue::kNone;

bool is_number(const ImapValue& value, std::uint32_t node) {
  return value.node(node).kind == ImapValue::Kind::atom && parse_number(value.raw(node)).has_value();
}

std::string join(std::string_view base, std::size_t number) {
  std::string out(base);
  if (!out.empty()) out.push_back('.');
  return out + std::to_string(number);
}

Result<Body> describe_multipart(const ImapValue& value, const BodyPlace& place,
                                const std::vector<std::uint32_t>& elements) {
  Body body;
  body.multipart = true;
  std::size_t i = 0;
  for (; i < elements.size() && value.is_list(elements[i]); ++i) {
    std::string number = join(place.base, i + 1);
    std::string header = number + ".MIME";
    body.parts.push_back({elements[i], std::move(header), std::move(number), false});
  }
  if (i == elements.size()) return fail(Errc::protocol, "a multipart without its subtype");
  body.subtype = elements[i++];
  for (const auto slot : {&Body::parameters, &Body::disposition, &Body::language, &Body::location}) {
    if (i < elements.size()) body.*slot = elements[i++];
  }
  return body;
}

/// A message/rfc822 or message/global with what stands in it (RFC 9051 §7.5.2).
bool holds_message(const ImapValue& value, const std::vector<std::uint32_t>& elements) {
  if (elements.size() < 10 || !equals_nocase(value.text(elements[0]), "message")) return false;
  return value.is_list(elements[7]) && value.is_list(elements[8]) && is_number(value, elements[9]);
}

/// Values that stand for themselves in a structure: never lists, numbers where there are numbers.
bool is_well_formed(const ImapValue& value, const Body& body) {
  for (const std::uint32_t node :
       {body.type, body.subtype, body.encoding, body.id, body.description, body.md5}) {
    if (node != kNone && value.is_list(node)) return false;
  }
  return (body.octets == kNone || is_number(value, body.octets)) &&
         (body.lines == kNone || is_number(value, body.lines));
}

/// Pairs of strings.
bool is_parameter_list(const ImapValue& value, std::uint32_t node) {
  const auto elements = value.elements(node);
  return value.is_list(node) && elements.size() % 2 == 0 &&
         std::ranges::none_of(elements, [&](std::uint32_t one) { return value.is_list(one); });
}

std::string write_disposition(const ImapValue& value, std::uint32_t node, const SlotView& view, bool utf8) {
  const auto elements = value.elements(node);
  if (elements.size() != 2 || value.is_list(elements[0])) return "NIL";
  const auto shown = message::parse_parameters(view.visible.front().body);
  if (!shown || shown->value.empty()) return "NIL";
  std::string out = "(";
  out += equals_nocase(shown->value, value.text(elements[0])) ? std::string(value.raw(elements[0]))
                                                              : imap_value_string(shown->value, utf8);
  out.push_back(' ');
  out +=
      is_parameter_list(value, elements[1])
          ? write_parameters(value, elements[1], view.original.front().body, view.visible.front().body, utf8)
          : "NIL";
  return out + ")";
}

std::string write_language(std::string_view body, bool utf8) {
  const std::string text = message::unfold(body);
  std::string out;
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::size_t comma = std::min(rest.find(','), rest.size());
    if (const auto one = trim(rest.substr(0, comma)); !one.empty()) {
      out.append(out.empty() ? "(" : " ").append(imap_value_string(one, utf8));
    }
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  return out.empty() ? "NIL" : out + ")";
}

}  // namespace

Result<Body> describe_body(const ImapValue& value, const BodyPlace& place) {
  const auto elements = value.elements(place.node);
  if (!value.is_list(place.node) || elements.empty()) return fail(Errc::protocol, "not a body structure");
  if (value.is_list(elements[0])) {
    auto body = describe_multipart(value, place, elements);
    if (body && !is_well_formed(value, *body)) return fail(Errc::protocol, "not a body structure");
    return body;
  }
  if (elements.size() < 7) return fail(Errc::protocol, "not a body structure");
  Body body;
  body.type = elements[0];
  body.subtype = elements[1];
  body.parameters = elements[2];
  body.id = elements[3];
  body.description = elements[4];
  body.encoding = elements[5];
  body.octets = elements[6];
  std::size_t i = 7;
  if (holds_message(value, elements)) {
    body.message = true;
    body.envelope = elements[7];
    const std::string section = place.in_message ? join(place.base, 1) : place.base;
    body.parts.push_back({elements[8], section + ".HEADER", section, true});
    body.lines = elements[9];
    i = 10;
  } else if (i < elements.size() && is_number(value, elements[i])) {
    body.lines = elements[i++];
  }
  for (const auto slot : {&Body::md5, &Body::disposition, &Body::language, &Body::location}) {
    if (i < elements.size()) body.*slot = elements[i++];
  }
  if (!is_well_formed(value, body)) return fail(Errc::protocol, "not a body structure");
  return body;
}

namespace {

/// Whether a list of parameters says what has to be compared with its field.
bool are_doubtful(const ImapValue& value, const std::vector<std::uint32_t>& parameters) {
  for (std::size_t i = 0; i + 1 < parameters.size(); i += 2) {
    const std::string name = value.text(parameters[i]), text = value.text(parameters[i + 1]);
    if (mapping::parameter_names_host(name, text) || !is_usual_parameter(name, text)) return true;
  }
  return false;
}

/// The same of a whole slot.
bool is_doubtful(const ImapValue& value, std::uint32_t node, Slot slot) {
  const auto elements = value.elements(node);
  switch (slot) {
    case Slot::content_type:
      return are_doubtful(value, elements);
    case Slot::content_disposition:
      if (elements.empty()) return true;
      if (!is_usual_disposition(value.text(elements.front()))) return true;
      return elements.size() > 1 && are_doubtful(value, value.elements(elements[1]));
    case Slot::content_language:
      if (!value.is_list(node)) return !is_usual_language(value.text(node));
      return std::ranges::any_of(elements,
                                 [&](std::uint32_t tag) { return !is_usual_language(value.text(tag)); });
    case Slot::content_encoding:
      return !is_usual_encoding(value.text(node));
    default:
      return false;
  }
}

}  // namespace

bool is_sensitive(const ImapValue& value, std::uint32_t node, Slot slot) {
  if (node == kNone || value.is_nil(node)) return false;
  // Fields that never cross (default-deny).
  if (slot == Slot::content_location || slot == Slot::content_md5) return true;
  if (is_doubtful(value, node, slot)) return true;
  const std::size_t end = value.node(node).begin + value.node(node).size;
  // What stands in a list comes right behind it.
  for (std::uint32_t i = node; i < value.size() && value.node(i).begin < end; ++i) {
    if (!value.is_list(i) && may_hold_address(value.text(i))) return true;
  }
  return false;
}

std::string write_mime_slot(const ImapValue& value, std::uint32_t node, Slot slot, const SlotPair* fields,
                            bool utf8) {
  if (node == kNone || value.is_nil(node)) return "NIL";
  const bool sensitive = is_sensitive(value, node, slot);
  if (fields == nullptr) return sensitive ? "NIL" : std::string(value.raw(node));
  const SlotView view(*fields, slot);
  if (view.same() && (!sensitive || view.vouches(value, node))) return std::string(value.raw(node));
  if (view.visible.empty() || view.original.empty()) return "NIL";
  const std::string_view visible = view.visible.front().body;
  switch (slot) {
    case Slot::content_type:
      return is_parameter_list(value, node)
                 ? write_parameters(value, node, view.original.front().body, visible, utf8)
                 : "NIL";
    case Slot::content_disposition:
      return write_disposition(value, node, view, utf8);
    case Slot::content_language:
      return write_language(visible, utf8);
    default:
      return imap_value_string(slot_text(visible), utf8);
  }
}

}  // namespace kage::proxy
