// What ParsedHeader holds: the fields that may cross, each scanned once for all copies of the message.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "mapping/rewrite/field_policy.h"
#include "mapping/rewrite/rewrite.h"
#include "mapping/rewrite/scan.h"
#include "message/address_list.h"

namespace kage::mapping {

/// A phrase or a comment with what was found in it.
struct WrittenText {
  std::string written;  ///< one line, as it is written into a field that has to be changed
  ScannedText scan;
  bool may_stay = false;  ///< its octets as they came are good enough for a field that needs no change
};

struct AddressItem {
  message::ListItem::Kind kind = message::ListItem::Kind::mailbox;
  WrittenText phrase;
  std::vector<WrittenText> comments;
  std::string spelling;            ///< mailbox: as written here
  std::size_t found = kNoAddress;  ///< mailbox: number of its address
};

struct AddressScan {
  std::vector<AddressItem> items;  ///< no junk
  /// Nothing but these items stands in the field, in their usual order: it may leave as it came when all of
  /// them stay.
  bool faithful = false;
};

struct IdScan {
  std::vector<std::string> ids;  ///< without brackets
  bool faithful = false;         ///< nothing but these ids stands in the field
};

struct TextScan {
  ScannedText text;
};

struct ParameterScan {
  struct Parameter {
    enum class Kind : unsigned char { as_written, rewritten };
    Kind kind = Kind::as_written;
    std::string name;
    std::string value;      ///< as_written: name=value; rewritten: unused
    ScannedText text;       ///< rewritten
    std::string extension;  ///< rewritten: ".pdf", follows the text
  };
  bool harmless = false;  ///< leaves as it came
  std::string value;      ///< empty: the field cannot cross
  std::vector<Parameter> parameters;
};

struct PassScan {
  bool harmless = false;
  std::string value;  ///< what is left of it; empty: the field cannot cross
};

struct ScannedField {
  const message::Field* field = nullptr;
  const FieldRule* rule = nullptr;
  std::variant<AddressScan, IdScan, TextScan, ParameterScan, PassScan> scan;
};

struct ParsedHeader::Impl {
  std::string block;
  message::HeaderLimits limits;  ///< that it was parsed with
  std::vector<message::Field> fields;
  std::vector<ScannedField> scanned;  ///< in the order of the message, dropped fields left out
  AddressIndex index;
  std::vector<bool> visible;  ///< by number: stands as a mailbox in To or Cc
  std::optional<message::Address> author;
  std::string message_id;
  std::size_t hops = 0;

  [[nodiscard]] const AddressScan* addresses_of(std::string_view lower_name) const;
};

/// Scans the body of one field as its rule says.
AddressScan scan_addresses(std::string_view body, AddressIndex& index, Result<>& status);
IdScan scan_ids(std::string_view body);
/// `boundary`: that parameter stays whatever it holds, since the body's octets stay.
ParameterScan scan_parameters(std::string_view body, bool boundary, AddressIndex& index);
PassScan scan_pass(std::string_view body);
/// Scans a field of a class other than addresses.
void scan_by_class(FieldClass what, ScannedField& field, AddressIndex& index);

}  // namespace kage::mapping
