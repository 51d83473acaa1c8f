// Writing the fields of one copy: what both directions share. Lines end with CRLF, none is above 998 octets,
// none is empty.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "mapping/rewrite/header.h"
#include "mapping/routes/anonymity.h"

namespace kage::mapping {

/// The field as it came; folded anew only where a line is too long or holds nothing but white space.
void write_as_it_came(std::string& out, const message::Field& field);

/// Text, parameters and fields that pass; `field` is of one of these classes.
void write_other(std::string& out, const ScannedField& field, const StandIns& stand_ins);

/// Ids as "<id>", one a line, at most about 8 kB: the first and the last ones are kept. No field when empty.
void write_ids(std::string& out, std::string_view name, const std::vector<std::string>& ids);

/// A field of ids with `ids` in the place of its own; as it came when they are the same.
void write_id_field(std::string& out, const ScannedField& field, const IdScan& scan,
                    std::vector<std::string> ids);

/// Message-ID and Date, which every message has (RFC 5322 §3.6, RFC 6409 §8.2, §8.3), where none of the
/// header's crosses; nothing for what is empty.
void write_missing(std::string& out, const ParsedHeader::Impl& header, std::string_view message_id,
                   std::string_view date);

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

// What a member sees of a list and a subject, be the message delivered or fetched (contract R5.1, R7.2,
// R8.2).

/// Whether no name may be beside an address, as `name = "hide"` has it: it is about correspondents, and From
/// with a public address of ours is what another member wrote (contract R5.2, R7.3).
bool hides_name(const RouteTable& routes, const Member& member, const ScannedField& field,
                const AddressItem& item, const AddressIndex& index);
/// Whether nothing of the item has to change. `hides_names`: no display name and no comment may stay.
bool item_stays(const AddressItem& item, const StandIns& stand_ins, bool hides_names);
/// The mailbox of `item` with `address` in it, with its name and comments as far as they may be shown, or
/// bare.
void add_mailbox(ListWriter& list, const AddressItem& item, std::string_view address,
                 const StandIns& stand_ins, bool with_name);
/// Whether the item is the author whose real address is shown. `author`: its canonical address; empty:
/// nobody's is shown.
bool is_shown_author(const ScannedField& field, const AddressItem& item, const StandIns& stand_ins,
                     const AddressIndex& index, std::string_view author);
/// The display name of an author who is shown: the real address, behind the name that was written if it may
/// be shown. That of "addr (Name)" is in the comment (RFC 5322 §3.4).
std::string author_phrase(const AddressItem& item, std::string_view real, bool with_name);
/// The subject without the 184 or 186 before it (contract R7.1), decoded; `decoded` is the whole one, `text`
/// what was found in it.
std::string subject_without_marker(const Anonymity& anonymity, const TextScan* text,
                                   const StandIns& stand_ins, std::string_view decoded);

}  // namespace kage::mapping
