// Writing the fields of one copy: what both directions share. Lines end with CRLF, none is above 998 octets,
// none is empty.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "mapping/rewrite/header.h"

namespace kage::mapping {

/// The field as it came; folded anew only where a line is too long or holds nothing but white space.
void write_as_it_came(std::string& out, const message::Field& field);

/// Text, parameters and fields that pass; `field` is of one of these classes.
void write_other(std::string& out, const ScannedField& field, const StandIns& stand_ins);

/// Ids as "<id>", one a line, at most about 8 kB: the first and the last ones are kept. No field when empty.
void write_ids(std::string& out, std::string_view name, const std::vector<std::string>& ids);

/// Collects an address list and writes it as one field.
class ListWriter {
 public:
  /// `phrase` and `comments` are written forms; without a phrase the address stands alone.
  void mailbox(std::string_view phrase, std::string_view address, const std::vector<std::string>& comments);
  void group_start(std::string_view phrase);
  void group_end();

  [[nodiscard]] bool empty() const { return tokens_.empty(); }
  /// Writes the field; nothing when the list is empty.
  void write(std::string& out, std::string_view name);

 private:
  void begin_item();
  void words(std::string_view text);

  std::vector<std::string> tokens_;
  bool comma_ = false;
  bool in_group_ = false;
};

/// Display name as it may be shown: as written where all addresses in it stay, else with stand-ins.
std::string shown_phrase(const WrittenText& phrase, const StandIns& stand_ins);
/// Comments in which nothing has to be replaced; the others vanish.
std::vector<std::string> shown_comments(const AddressItem& item, const StandIns& stand_ins);

}  // namespace kage::mapping
