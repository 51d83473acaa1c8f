// Decoding keeps where each octet stood, so that a changed id can be written back into the same octets.
#include "mapping/visible/cid.h"

#include <array>

#include "base/text.h"

namespace kage::mapping {
namespace {

using Encoding = ContentKind::Encoding;

constexpr std::size_t kMaxHeld = 1536;  // an id of 500 octets in its longest spelling
constexpr std::string_view kScheme = "cid:";
constexpr std::string_view kHex = "0123456789ABCDEF";
constexpr std::string_view kBase64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

constexpr std::array<signed char, 256> kSextets = [] {
  std::array<signed char, 256> table{};
  table.fill(-1);
  for (std::size_t i = 0; i < kBase64.size(); ++i) {
    table[static_cast<unsigned char>(kBase64[i])] = static_cast<signed char>(i);
  }
  return table;
}();

int sextet_of(char c) {
  return kSextets[static_cast<unsigned char>(c)];
}

/// What ends a URL in an attribute or in a style sheet.
bool ends_url(char c) {
  const auto octet = static_cast<unsigned char>(c);
  return octet <= 0x20 || octet == 0x7f ||
         std::string_view("\"'<>()\\&;,{}").find(c) != std::string_view::npos;
}

}  // namespace

bool OctetDecoder::feed(char octet, char& decoded) {
  switch (encoding_) {
    case Encoding::quoted_printable:
      return feed_quoted(octet, decoded);
    case Encoding::base64:
      return feed_base64(octet, decoded);
    default:
      decoded = octet;
      return true;
  }
}

bool OctetDecoder::feed_quoted(char octet, char& decoded) {
  escaped_ = false;
  switch (quoted_) {
    case Quoted::text:
      if (octet != '=') {
        decoded = octet;
        return true;
      }
      quoted_ = Quoted::equals;
      return false;
    case Quoted::equals:
      if (const int digit = hex_value(octet); digit >= 0) {
        value_ = static_cast<unsigned>(digit);
        quoted_ = Quoted::first_digit;
        return false;
      }
      [[fallthrough]];
    case Quoted::soft_break:  // RFC 2045 §6.7: white space may stand before the end of the line
      if (octet == '\n') {
        quoted_ = Quoted::text;
        return false;
      }
      if (octet == '\r' || is_wsp(octet)) {
        quoted_ = Quoted::soft_break;
        return false;
      }
      break;
    case Quoted::first_digit:
      if (const int digit = hex_value(octet); digit >= 0) {
        decoded = static_cast<char>(value_ * 16 + static_cast<unsigned>(digit));
        quoted_ = Quoted::text;
        escaped_ = true;
        return true;
      }
      break;
  }
  quoted_ = Quoted::text;
  decoded = '\0';
  return true;
}

bool OctetDecoder::feed_base64(char octet, char& decoded) {
  const int sextet = sextet_of(octet);
  if (sextet < 0) {
    if (octet != '=') return false;
    bits_ = 0;
    decoded = '\0';
    return true;
  }
  value_ = (value_ << 6U | static_cast<unsigned>(sextet)) & 0xffffU;
  bits_ += 6;
  if (bits_ < 8) return false;
  bits_ -= 8;
  decoded = static_cast<char>(value_ >> bits_ & 0xffU);
  return true;
}

std::size_t CidFilter::skip(std::string_view input) {
  for (std::size_t i = 0; i < input.size(); ++i) {
    char c = 0;
    if (!decoder_.feed(input[i], c)) continue;
    const char l = to_lower(c);
    if (matched_ > 0 && l == kScheme[matched_]) {
      if (++matched_ < kScheme.size()) continue;
      restart();
      holding_ = true;
      return i;
    }
    matched_ = l == 'c' && !in_word_ ? 1 : 0;
    in_word_ = is_alnum(c);
  }
  return input.size();
}

std::size_t CidFilter::gather(std::string_view input, bool& done) {
  done = false;
  for (std::size_t i = 0; i < input.size(); ++i) {
    raw_.push_back(input[i]);
    if (raw_.size() == 1) {  // skip() has decoded it
      at_id_ = decoder_;
      continue;
    }
    char c = 0;
    const bool ended = decoder_.feed(input[i], c) && ends_url(c);
    // A line that may be a delimiter is no part of the URL.
    done = ended || raw_.size() >= kMaxHeld || raw_.ends_with("\n--");
    if (done) return i + 1;
  }
  return input.size();
}

void CidFilter::restart() {
  holding_ = false;
  raw_.clear();
  matched_ = 0;
  in_word_ = false;
}

std::vector<CidFilter::Unit> CidFilter::units() const {
  std::vector<Unit> found;
  OctetDecoder decoder = at_id_;
  const std::size_t end = raw_.ends_with("\n--") ? raw_.size() - 2 : raw_.size();
  for (std::size_t i = 1; i < end; ++i) {
    char c = 0;
    if (!decoder.feed(raw_[i], c)) continue;
    if (ends_url(c)) break;
    found.push_back({c, i, decoder.escaped()});
  }
  return found;
}

/// Base64: writes eight bits, counted from the first sextet that is held.
void CidFilter::put_bits(const std::vector<std::size_t>& sextets, std::size_t first_bit, char value) {
  for (std::size_t bit = first_bit; bit < first_bit + 8; ++bit) {
    char& c = raw_[sextets[bit / 6]];
    const auto place = static_cast<unsigned>(5 - (bit % 6));
    const unsigned wanted = static_cast<unsigned char>(value) >> (7 - (bit - first_bit)) & 1U;
    c = kBase64[(static_cast<unsigned>(sextet_of(c)) & ~(1U << place)) | wanted << place];
  }
}

std::vector<std::size_t> CidFilter::sextets() const {
  std::vector<std::size_t> found;
  if (encoding_ != Encoding::base64) return found;
  for (std::size_t i = 0; i < raw_.size(); ++i) {
    if (sextet_of(raw_[i]) >= 0) found.push_back(i);
  }
  return found;
}

void CidFilter::show(const std::function<std::string(std::string_view)>& replacement, std::string& out) {
  const bool readable = raw_.size() < kMaxHeld;
  const std::vector<Unit> url = readable ? units() : std::vector<Unit>();
  std::string id;
  std::vector<std::size_t> places;  // of each octet of the id: its first unit
  for (std::size_t i = 0; i < url.size(); ++i) {
    places.push_back(i);
    const int high = url[i].value == '%' && i + 2 < url.size() ? hex_value(url[i + 1].value) : -1;
    const int low = high < 0 ? -1 : hex_value(url[i + 2].value);
    id.push_back(low < 0 ? url[i].value : static_cast<char>(high * 16 + low));
    if (low >= 0) i += 2;
  }
  const std::string other = id.empty() ? id : replacement(id);
  if (other != id && other.size() == id.size()) {
    const std::vector<std::size_t> places_of_bits = sextets();
    const auto put = [&](std::size_t number, char value) {
      const Unit& unit = url[number];
      const auto octet = static_cast<unsigned char>(value);
      if (encoding_ == Encoding::base64) {
        put_bits(places_of_bits, 6 - at_id_.bits() + (8 * number), value);
      } else if (unit.escaped) {
        raw_[unit.offset - 1] = kHex[octet >> 4U];
        raw_[unit.offset] = kHex[octet & 15U];
      } else {
        raw_[unit.offset] = value;
      }
    };
    for (std::size_t i = 0; i < id.size(); ++i) {
      if (other[i] == id[i]) continue;
      const auto octet = static_cast<unsigned char>(other[i]);
      const std::size_t next = i + 1 < places.size() ? places[i + 1] : url.size();
      if (next - places[i] == 1) {
        put(places[i], other[i]);
      } else {
        put(places[i] + 1, kHex[octet >> 4U]);
        put(places[i] + 2, kHex[octet & 15U]);
      }
    }
  }
  pass(0, out);
}

void CidFilter::pass(std::size_t without, std::string& out) {
  out.append(raw_, 0, raw_.size() - without);
  restart();
}

}  // namespace kage::mapping
