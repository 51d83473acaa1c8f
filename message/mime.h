// Parameters of MIME header fields (RFC 2045 §5.1, RFC 2231), tolerant of what is really sent.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kage::message {

/// One parameter, continuations and charset joined (name*0*=…; name*1=…).
struct Parameter {
  std::string name;   ///< lower-case, without '*' parts
  std::string value;  ///< decoded to UTF-8: quotes, RFC 2231, and encoded-words that mailers put into quotes
  std::string_view raw;  ///< as written, "name=value"; empty when joined from several pieces
  std::string pieces;    ///< all pieces that made the value as written, unfolded, joined with "; "
  /// `pieces` is well-formed and holds nothing but this value (no comment, no open quote); else write it
  /// anew.
  bool intact = true;
};

struct ParameterizedValue {
  std::string value;  ///< before the first ';', comments and outer white space removed, e.g. "text/plain"
  std::vector<Parameter> parameters;
};

/// Parses the body of Content-Type, Content-Disposition and their like. Of two parameters with one name the
/// first counts, but name*= (RFC 2231) goes before name=. At most 100 pieces (Errc::limit).
Result<ParameterizedValue> parse_parameters(std::string_view body);

/// The value that parse_parameters() gives, of a body of any number of parameters.
std::string parse_value(std::string_view body);

/// Writes name=value with token, quoted-string or RFC 2231 (name*=UTF-8''…, cut into continuations) as the
/// value needs. CR, LF and NUL are dropped; a value above 1,000 octets is cut.
std::string write_parameter(std::string_view name, std::string_view utf8_value);

}  // namespace kage::message
