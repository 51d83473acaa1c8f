// The shapes are what mail really has, and what it should not have. The search uses decoders of its own, so
// that a fault in the gateway's decoders cannot hide what it caused.
#include "canary.h"

#include <algorithm>
#include <array>
#include <optional>

#include "base/text.h"
#include "mapping/rewrite/field_policy.h"
#include "message/encoded_word.h"
#include "message/header.h"

namespace kage::mapping::test {
namespace {

std::string q_encoded(std::string_view text, bool everything) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    if (c == ' ') {
      out.push_back('_');
    } else if (is_alnum(c) && !everything) {
      out.push_back(c);
    } else {
      out.push_back('=');
      out.push_back(kHex[static_cast<unsigned char>(c) >> 4U]);
      out.push_back(kHex[static_cast<unsigned char>(c) & 15U]);
    }
  }
  return out;
}

std::string full_width(std::string_view ascii) {
  std::string out;
  for (const char c : ascii) {
    if (c < 0x21 || c > 0x7e) {
      out.push_back(c);
      continue;
    }
    const unsigned code = 0xFF01U + static_cast<unsigned>(c - 0x21);
    out.push_back(static_cast<char>(0xE0U | code >> 12U));
    out.push_back(static_cast<char>(0x80U | (code >> 6U & 0x3FU)));
    out.push_back(static_cast<char>(0x80U | (code & 0x3FU)));
  }
  return out;
}

/// "連絡先 " in a charset, ready for ASCII to follow.
struct Charset {
  std::string_view name;
  std::string_view prefix;
};
constexpr std::array<Charset, 6> kCharsets = {{
    {"UTF-8", "\xE9\x80\xA3\xE7\xB5\xA1\xE5\x85\x88 "},
    {"ISO-2022-JP", "\x1b$BO\"Mm@h\x1b(B "},
    {"Shift_JIS", "\x98\x41\x97\x8D\x90\xE6 "},
    {"EUC-JP", "\xCF\xA2\xCD\xED\xC0\xE8 "},
    {"ISO-8859-1", "Ren\xE9 "},
    {"us-ascii*en", "Contact "},
}};

}  // namespace

std::uint64_t Numbers::next() {
  state_ += 0x9E3779B97F4A7C15ULL;
  std::uint64_t z = state_;
  z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27U)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31U);
}

std::string CanaryHeader::domain() const {
  return "canarydom" + std::to_string(count_) + ".example";
}

std::string CanaryHeader::canary() {
  ++count_;
  const std::string local = "canaryloc" + std::to_string(count_);
  switch (numbers_.below(12)) {
    case 0:
      return local + "@CanaryDom" + std::to_string(count_) + ".EXAMPLE";
    case 1:
      return local + ".@" + domain();
    case 2:
      return local + "..x@" + domain();
    case 3:
      return local + "+tag@mail.sub." + domain();
    case 4:
      return "\"" + local + "\"@" + domain();
    case 5:
      return "o'" + local + "#$%&*+-/=?^_`{|}~@" + domain();
    default:
      return local + "@" + domain();
  }
}

/// An ASCII text as encoded-words of some charset: whole, or split anywhere.
std::string CanaryHeader::encoded(std::string_view ascii) {
  const Charset& charset = kCharsets[numbers_.below(kCharsets.size())];
  const std::string text = std::string(charset.prefix) + std::string(ascii);
  std::vector<std::string> pieces;
  if (numbers_.one_in(2)) {
    pieces = {text};
  } else {
    // Not inside the Japanese prefix: RFC 2047 §5 forbids it, and states would break.
    const std::size_t cut = charset.prefix.size() + numbers_.below(ascii.size() + 1);
    pieces = {text.substr(0, cut), text.substr(cut)};
  }
  std::string out;
  for (const std::string& piece : pieces) {
    if (!out.empty()) out += numbers_.one_in(2) ? " " : "\r\n ";
    const bool b = numbers_.one_in(2);
    out += "=?" + std::string(charset.name) + (b ? "?B?" : "?q?") +
           (b ? base64(piece) : q_encoded(piece, numbers_.one_in(2))) + "?=";
  }
  return out;
}

/// Folds at some of the spaces.
std::string CanaryHeader::folded(std::string text) {
  for (std::size_t at = text.find(' '); at != std::string::npos; at = text.find(' ', at + 3)) {
    if (at > 0 && text[at - 1] != '\n' && numbers_.one_in(3))
      text.replace(at, 1, numbers_.one_in(2) ? "\r\n " : "\r\n\t");
  }
  return text;
}

std::string CanaryHeader::text() {
  const std::string plain = canary();
  switch (numbers_.below(18)) {
    case 0:
      return "Hello " + plain;
    case 1:
      return "Re: <" + plain + ">, please";
    case 2:
      return encoded(plain);
    case 3:
      return encoded("mail to " + plain + " and");
    case 4:
      return "Hello " + encoded(plain) + " there";
    case 5:
      return full_width("to ") + full_width("canaryloc" + std::to_string(count_) + "@" + domain());
    case 6:
      return "https://host.invalid/?u=canaryloc" + std::to_string(count_) + "%40" + domain();
    case 7:
      return "mailto:" + plain + "?subject=x";
    case 8:
      return "\x1b$BO\"Mm@h\x1b(B " + plain;
    case 9:
      return "\xE9\x80\xA3\xE7\xB5\xA1 " + plain;
    case 10:
      return "\xE9\x80\xA3\xE7\xB5\xA1" + plain + "\xE3\x81\xBE\xE3\x81\xA7";
    case 11:
      return "canaryloc" + std::to_string(count_) + "\r\n @" + domain() + " folded";
    case 12:
      return "canaryloc" + std::to_string(count_) + "@\r\n\t" + domain();
    case 13:
      return plain + "@" + domain() + "," + plain;
    case 14:
      return "=?utf-8?q?broken canaryloc" + std::to_string(count_) + "@" + domain() + "?=";
    case 15:
      return "canaryloc" + std::to_string(count_) + "&#64;" + domain();
    case 16:
      return "=?bad?x?canaryloc" + std::to_string(count_) + "=40" + domain() + "?=";
    default:
      return "\x98\x41\x97\x8D\x90\xE6 " + plain;  // raw Shift_JIS
  }
}

/// A display name with a canary in it.
std::string CanaryHeader::name() {
  switch (numbers_.below(8)) {
    case 0:
      return "\"" + std::string("Name (canaryloc") + std::to_string(++count_) + "@" + domain() + ")\"";
    case 1:
      return encoded("Name canaryloc" + std::to_string(++count_) + "@" + domain());
    case 2:
      return "canaryloc" + std::to_string(++count_) + "@" + domain();
    case 3:
      return "\"canaryloc" + std::to_string(++count_) + "\\@" + domain() + "\"";
    case 4:
      return "\"" + encoded("canaryloc" + std::to_string(++count_) + "@" + domain()) + "\"";
    case 5:
      return "\x1b$BO\"Mm@h\x1b(B canaryloc" + std::to_string(++count_) + "@" + domain();
    case 6:
      return "Some One";
    default:
      return "\"Quoted, Name\"";
  }
}

std::string CanaryHeader::comment() {
  ++count_;
  const std::string plain = "canaryloc" + std::to_string(count_) + "@" + domain();
  switch (numbers_.below(4)) {
    case 0:
      return "(" + plain + ")";
    case 1:
      return "(see (" + plain + ") there)";
    case 2:
      return "(" + encoded(plain) + ")";
    default:
      return "(canaryloc" + std::to_string(count_) + "\\@" + domain() + ")";
  }
}

std::string CanaryHeader::mailbox() {
  const std::string plain =
      !known_.empty() && numbers_.one_in(3) ? known_[numbers_.below(known_.size())] : canary();
  switch (numbers_.below(20)) {
    case 0:
      return plain;
    case 1:
      return "<" + plain + ">";
    case 2:
      return name() + " <" + plain + ">";
    case 3:
      return name() + "\r\n <" + plain + ">";
    case 4:
      return plain + " " + comment();
    case 5:
      return comment() + " " + plain;
    case 6:
      return name() + " " + comment() + " <" + plain + "> " + comment();
    case 7:
      return name() + ": " + plain + ", " + canary() + ";";
    case 8:
      return name() + ":;";
    case 9:
      return "<@" + domain() + ",@relay." + domain() + ":" + plain + ">";
    case 10:
      return "canaryloc" + std::to_string(++count_) + " " + comment() + " @ " + comment() + "\r\n " +
             domain();
    case 11:
      return "canaryloc" + std::to_string(++count_) + "@[192.0.2.1]";
    case 12:
      return "Broken <" + plain;
    case 13:
      return name() + " <" + plain + "> " + canary();
    case 14:
      return plain + " " + canary();
    case 15:
      return "\"unclosed " + plain;
    case 16:
      return encoded("Name <canaryloc" + std::to_string(++count_) + "@" + domain() + ">");
    case 17:
      return "\xE5\xB1\xB1"
             "canaryloc" +
             std::to_string(++count_) + "@" + domain();
    case 18:
      return "mailto:" + plain;
    default:
      return encoded(plain) + " <" + plain + ">";
  }
}

std::string CanaryHeader::list() {
  std::string out;
  for (std::size_t i = 1 + numbers_.below(4); i-- > 0;) {
    if (!out.empty()) out += numbers_.one_in(2) ? ", " : ",\r\n ";
    out += mailbox();
  }
  return out;
}

std::string CanaryHeader::ids() {
  std::string out;
  for (std::size_t i = 1 + numbers_.below(4); i-- > 0;) {
    const std::string plain = canary();
    if (!out.empty()) out += numbers_.one_in(2) ? " " : "\r\n ";
    switch (numbers_.below(8)) {
      case 0:
        out += plain;
        break;
      case 1:
        out += "Message of " + plain + " <" + plain + ">";
        break;
      case 2:
        out += comment() + "<" + plain + ">";
        break;
      case 3:
        out += "<canaryloc" + std::to_string(count_) + ">";
        break;
      case 4:
        out += "<" + plain + "@school.example>";
        break;
      case 5:
        out += "<canaryloc" + std::to_string(count_) + "\r\n @" + domain() + ">";
        break;
      default:
        out += "<" + plain + ">";
    }
  }
  return out;
}

std::string CanaryHeader::parameters(std::string_view value) {
  std::string out(value);
  for (std::size_t i = 1 + numbers_.below(4); i-- > 0;) {
    ++count_;
    const std::string local = "canaryloc" + std::to_string(count_);
    const std::string plain = local + "@" + domain();
    out += numbers_.one_in(2) ? "; " : ";\r\n\t";
    switch (numbers_.below(14)) {
      case 0:
        out += "name=\"" + plain + "\"";
        break;
      case 1:
        out += "filename=" + plain + ".pdf";
        break;
      case 2:
        out += "name*=UTF-8''" + local + "%40" + domain();
        break;
      case 3:
        out += "filename*0*=ISO-2022-JP''" + local + ";\r\n filename*1*=%40;\r\n filename*2=\"" + domain() +
               "\"";
        break;
      case 4:
        out += "name=\"" + encoded(plain) + "\"";
        break;
      case 5:
        out += "boundary=\"=_" + plain + "\"";
        break;
      case 6:
        out += "start=\"<" + plain + ">\"";
        break;
      case 7:
        out += "charset=utf-8 " + comment();
        break;
      case 8:
        out += comment() + " charset=utf-8";
        break;
      case 9:
        out += "x-unknown=" + plain;
        break;
      case 10:
        out += "name=\"a \\\"" + plain + "\\\" b\"";
        break;
      case 11:
        out += "filename*=Shift_JIS'ja'%98A%97%8D " + plain;
        break;
      case 12:
        out += plain;
        break;
      default:
        out += plain + "=x";
    }
  }
  return out;
}

std::string CanaryHeader::anything() {
  switch (numbers_.below(6)) {
    case 0:
      return folded(text());
    case 1:
      return list();
    case 2:
      return ids();
    case 3:
      return parameters("v=1");
    case 4:
      return "from mail." + domain() + " (envelope-from <" + canary() + ">)";
    default:
      return canary();
  }
}

std::string CanaryHeader::field(std::string_view name) {
  const FieldRule& rule = find_rule(name);
  std::string body;
  switch (rule.towards_member) {
    case FieldClass::addresses:
      body = list();
      break;
    case FieldClass::ids:
      body = ids();
      break;
    case FieldClass::text:
      body = folded(text());
      break;
    case FieldClass::parameters:
      body = parameters(name == "content-type" ? "multipart/mixed" : "inline");
      break;
    case FieldClass::pass:
      body = (numbers_.one_in(2) ? "1.0 " : "auto-notified; owner=" + canary() + " ") + comment();
      if (numbers_.one_in(4)) body = numbers_.one_in(2) ? text() : list();
      break;
    case FieldClass::drop:
      body = anything();
      break;
  }
  return std::string(name) + (numbers_.one_in(20) ? " : " : ": ") + body + "\r\n";
}

std::string CanaryHeader::block() {
  std::vector<std::string> fields;
  const auto rules = field_rules();
  // A third of the table in each message, in any order; what every message has in most of them.
  for (const FieldRule& rule : rules) {
    const bool usual = rule.name == "from" || rule.name == "to" || rule.name == "subject" ||
                       rule.name == "message-id" || rule.name == "references";
    if (!(usual ? !numbers_.one_in(8) : numbers_.one_in(3))) continue;
    std::string name(rule.name);
    if (name.ends_with('*')) name.replace(name.size() - 1, 1, "canary");
    fields.push_back(field(name));
    if (numbers_.one_in(10)) fields.push_back(field(name));
  }
  fields.push_back("X-Unlisted-" + std::to_string(count_) + ": " + anything() + "\r\n");
  fields.push_back(">From " + canary() + " Thu Jan  1 00:00:00 2026\r\n");
  fields.push_back("no field at all " + canary() + "\r\n");
  for (std::size_t i = fields.size(); i > 1; --i) std::swap(fields[i - 1], fields[numbers_.below(i)]);
  std::string out = numbers_.one_in(10) ? " leading " + canary() + "\r\n" : "";
  for (const std::string& piece : fields) out += piece;
  return out;
}

namespace {

constexpr std::array<std::string_view, 3> kMarkers = {"canaryloc", "canarydom", "canary"};

int hex_of(char c) {
  if (is_digit(c)) return c - '0';
  const char l = to_lower(c);
  return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

/// %XX and =XX decoded.
std::string hex_decoded(std::string_view text, char mark) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == mark && i + 2 < text.size() && hex_of(text[i + 1]) >= 0 && hex_of(text[i + 2]) >= 0) {
      out.push_back(static_cast<char>(hex_of(text[i + 1]) * 16 + hex_of(text[i + 2])));
      i += 2;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

std::string base64_decoded_loosely(std::string_view text) {
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  unsigned bits = 0;
  unsigned count = 0;
  for (const char c : text) {
    const std::size_t value = kAlphabet.find(c);
    if (value == std::string_view::npos) continue;
    bits = (bits << 6U | static_cast<unsigned>(value)) & 0xFFFFFFU;
    count += 6;
    if (count < 8) continue;
    count -= 8;
    out.push_back(static_cast<char>(bits >> count & 0xFFU));
  }
  return out;
}

/// Every "=?charset?b|q?text?=" becomes its octets, white space between two of them vanishes.
std::string words_decoded(std::string_view text) {
  std::string out;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t begin = text.find("=?", at);
    out.append(text.substr(at, begin == std::string_view::npos ? begin : begin - at));
    if (begin == std::string_view::npos) break;
    const std::size_t charset = text.find('?', begin + 2);
    const std::size_t end = charset == std::string_view::npos ? charset : text.find("?=", charset + 3);
    if (end == std::string_view::npos || charset + 2 >= text.size() || text[charset + 2] != '?') {
      out += "=?";
      at = begin + 2;
      continue;
    }
    const std::string_view body = text.substr(charset + 3, end - charset - 3);
    out += to_lower(text[charset + 1]) == 'b' ? base64_decoded_loosely(body) : hex_decoded(body, '=');
    at = end + 2;
    const std::size_t next = text.find_first_not_of(" \t\r\n", at);
    if (next != std::string_view::npos && text.substr(next).starts_with("=?")) at = next;
  }
  return out;
}

/// Full-width ASCII as ASCII.
std::string narrowed(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = [&](std::size_t n) {
      return static_cast<unsigned>(static_cast<unsigned char>(text[n]));
    };
    if (byte(i) == 0xEF && i + 2 < text.size() && (byte(i + 1) == 0xBC || byte(i + 1) == 0xBD)) {
      const unsigned code = 0xF000U | (byte(i + 1) & 0x3FU) << 6U | (byte(i + 2) & 0x3FU);
      if (code >= 0xFF01U && code <= 0xFF5EU) {
        out.push_back(static_cast<char>(code - 0xFF01U + 0x21U));
        i += 2;
        continue;
      }
    }
    out.push_back(text[i]);
  }
  return out;
}

/// RFC 2231 continuations joined: what stands between two sections goes.
std::string sections_joined(std::string_view text) {
  std::string out(text);
  for (std::size_t star = out.find('*'); star != std::string::npos; star = out.find('*', star + 1)) {
    std::size_t value = star + 1;
    while (value < out.size() && (is_digit(out[value]) || out[value] == '*')) ++value;
    if (value == star + 1 || value >= out.size() || out[value] != '=' || out[star + 1] == '0') continue;
    const std::size_t semicolon = out.rfind(';', star);
    if (semicolon == std::string::npos) continue;
    out.erase(semicolon, value + 1 - semicolon);
    star = semicolon;
  }
  std::erase(out, '"');
  return out;
}

void look(std::string_view view, std::string_view how, std::vector<std::string>& found) {
  const std::string folded = lower(view);
  for (const std::string_view marker : kMarkers) {
    const std::size_t at = folded.find(marker);
    if (at == std::string::npos) continue;
    const std::size_t begin = at > 60 ? at - 60 : 0;
    found.push_back(std::string(how) + ": " + folded.substr(begin, 160));
    return;
  }
}

std::string without_boundaries(std::string_view body) {
  std::string text(body);
  const std::string folded = lower(text);
  const std::size_t at = folded.find("boundary=\"");
  if (at == std::string::npos) return text;
  const std::size_t end = text.find('"', at + 10);
  text.erase(at, end == std::string::npos ? end : end + 1 - at);
  return text;
}

}  // namespace

std::vector<std::string> canaries_in(std::string_view block) {
  std::vector<std::string> found;
  std::string rest;
  const auto fields = message::tokenize(block, {.max_octets = 64U << 20U, .max_fields = 100'000});
  if (!fields) return {"does not tokenize"};
  for (const message::Field& field : *fields) {
    const std::string raw = field.is("Content-Type") ? without_boundaries(field.raw) : std::string(field.raw);
    std::string line = raw;
    std::erase_if(line, [](char c) { return c == '\r' || c == '\n'; });
    std::string glued = line;
    std::erase_if(glued, [](char c) { return is_wsp(c); });
    look(raw, "raw", found);
    look(line, "unfolded", found);
    look(glued, "without white space", found);
    look(narrowed(words_decoded(raw)), "encoded-words", found);
    look(narrowed(words_decoded(words_decoded(line))), "encoded-words twice", found);
    look(message::decode_words(line, true), "decode_words", found);
    look(hex_decoded(line, '%'), "percent-encoding", found);
    look(sections_joined(hex_decoded(line, '%')), "RFC 2231", found);
    look(hex_decoded(line, '='), "quoted-printable", found);
  }
  return found;
}

}  // namespace kage::mapping::test
