// A header block taken apart for showing: which fields may be seen, and what in them has to be replaced.
//
// As ParsedHeader does for delivery, but every field keeps its place and its octets: of two From fields both
// are shown, so that any reader of the original finds the field it would have taken.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "mapping/rewrite/header.h"
#include "mapping/visible/fit.h"
#include "mapping/visible/kind.h"
#include "message/header.h"

namespace kage::mapping {

/// The octets of a block, apart from its empty line.
struct BlockText {
  std::string_view fields;  ///< ends with a line end unless it is empty
  std::string_view empty;   ///< the empty line, as it came
  std::string_view added;   ///< a line end that `fields` has and the block lacks: to be taken off again
  LineEnds ends = LineEnds::crlf;
  std::string copy;  ///< holds the fields where they are not those of the block itself

  explicit BlockText(std::string_view block);
  BlockText(const BlockText&) = delete;
  BlockText& operator=(const BlockText&) = delete;
};

/// Whether a field of this kind of block may be shown at all.
bool may_be_shown(const FieldRule& rule, BlockKind kind);

struct VisibleScan {
  std::vector<message::Field> fields;
  std::vector<ScannedField> shown;  ///< in order, duplicates included
  AddressIndex index;

  /// False when a bound is exceeded: nothing of such a header is shown.
  bool scan(BlockKind kind, std::string_view block);
  /// Looks at one field as if it stood alone, which is all the same where needs_context() says no.
  bool scan_alone(const message::Field& field, const FieldRule& rule);

 private:
  bool scan_address_field(ScannedField& field);
  bool scan_other(ScannedField& field);
};

/// Whether other fields of a message decide about this one: words with an '@' are compared with the addresses
/// that they hold. `scanned` was scanned alone.
bool needs_context(const ScannedField& scanned);

/// Whether a body of this class surely leaves as it came: quick, and wrong in one direction only.
bool is_surely_harmless(FieldClass what, std::string_view body);

}  // namespace kage::mapping
