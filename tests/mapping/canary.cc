// The shapes are what mail really has, and what it should not have.
#include "canary.h"

#include <array>

#include "base/text.h"
#include "mapping/rewrite/field_policy.h"

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
constexpr std::array<Charset, 9> kCharsets = {{
    {"UTF-8", "\xE9\x80\xA3\xE7\xB5\xA1\xE5\x85\x88 "},
    {"ISO-2022-JP", "\x1b$BO\"Mm@h\x1b(B "},
    {"Shift_JIS", "\x98\x41\x97\x8D\x90\xE6 "},
    {"EUC-JP", "\xCF\xA2\xCD\xED\xC0\xE8 "},
    {"ISO-8859-1", "Ren\xE9 "},
    {"us-ascii*en", "Contact "},
    // Nobody says which charset it is.
    {"", "Contact "},
    {"*en", "\x98\x41\x97\x8D\x90\xE6 "},
    {"x-unknown", "\xCF\xA2\xCD\xED\xC0\xE8 "},
}};

/// Octets that begin a character of Shift_JIS, of which an '@' could be the second half.
constexpr std::string_view kLeads = "\x81\x82\x89\x8B\x9F\xE0\xE9\xFC";

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

/// An address whose '@' could be half of a character, in text of no charset.
std::string CanaryHeader::half_sign() {
  ++count_;
  std::string address = "canaryloc" + std::to_string(count_);
  address += kLeads[numbers_.below(kLeads.size())];
  address += numbers_.one_in(4) ? "@\r\n " : "@";
  address += domain();
  const std::string_view around = numbers_.one_in(2) ? " " : "";
  address =
      "\x98\x41\x97\x8D\x90\xE6" + std::string(around) + address + std::string(around) + "\x82\xCC\x8C\x8F";
  if (numbers_.one_in(2) || address.contains('\r')) return address;
  return "=?x-unknown?" + (numbers_.one_in(2) ? "B?" + base64(address) : "Q?" + q_encoded(address, true)) +
         "?=";
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
  const std::string local = "canaryloc" + std::to_string(count_);
  const std::string part = "canarydom" + std::to_string(count_);
  switch (numbers_.below(23)) {
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
    case 17:
      return local + "@" + part + ".\r\n example and";
    case 18:
      return "to " + local + "@mail.\r\n " + domain();
    case 19:
      return local + "@mail.sub.\r\n\t" + domain() + ".";
    case 20:
      return local + "@mail\r\n ." + domain();
    case 21:
      return half_sign();
    default:
      return "\x98\x41\x97\x8D\x90\xE6 " + plain;  // raw Shift_JIS
  }
}

/// A display name with a canary in it.
std::string CanaryHeader::name() {
  switch (numbers_.below(10)) {
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
    case 7:
      return half_sign();
    case 8:
      return "\"" + half_sign() + "\"";
    default:
      return "\"Quoted, Name\"";
  }
}

std::string CanaryHeader::comment() {
  ++count_;
  const std::string plain = "canaryloc" + std::to_string(count_) + "@" + domain();
  switch (numbers_.below(5)) {
    case 0:
      return "(" + plain + ")";
    case 1:
      return "(see (" + plain + ") there)";
    case 2:
      return "(" + encoded(plain) + ")";
    case 3:
      return "(" + half_sign() + ")";
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

}  // namespace kage::mapping::test
