// Words of body structures that all mail uses. Internal to this folder. Pure.
//
// A server ends a value that stands without quotes at '@' and tells what stood before it: of
// `filename=taro@corp.example` Dovecot tells "taro", which looks like no address any more. Such a word is
// believed where everybody writes it; any other is compared with its field (contract R3.1).
#pragma once

#include <string_view>

namespace kage::proxy {

/// A parameter of Content-Type or Content-Disposition. A value that cannot have stood without quotes is
/// whole, whatever it says; so is a boundary, since nothing is found between the parts of one that was cut.
bool is_usual_parameter(std::string_view name, std::string_view value);
bool is_usual_disposition(std::string_view type);
bool is_usual_language(std::string_view tag);
bool is_usual_encoding(std::string_view mechanism);

}  // namespace kage::proxy
