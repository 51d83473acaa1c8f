// The header fields that ENVELOPE and BODYSTRUCTURE tell of, from a block before and after it was made
// visible. Internal to this folder. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "message/header.h"
#include "proxy/structure/value.h"

namespace kage::proxy {

/// The ten of ENVELOPE in its order, then those of a body structure.
enum class Slot : std::uint8_t {
  date,
  subject,
  from,
  sender,
  reply_to,
  to,
  cc,
  bcc,
  in_reply_to,
  message_id,
  content_type,
  content_id,
  content_description,
  content_disposition,
  content_encoding,
  content_language,
  content_location,
  content_md5,
  none,
};
inline constexpr std::size_t kEnvelopeSlots = 10;

class SlotFields {
 public:
  /// A block that is beyond the bounds of a header has no fields: nothing is then said of it.
  explicit SlotFields(std::string_view block);
  /// All fields of that name, in order. As long as this object.
  [[nodiscard]] std::span<const message::Field> all(Slot slot) const {
    const auto index = static_cast<std::size_t>(slot);
    return std::span(fields_).subspan(begins_[index], begins_[index + 1] - begins_[index]);
  }

 private:
  void sort_in(std::span<const std::pair<Slot, message::Field>> found);

  std::vector<message::Field> fields_;  // of one slot after the other
  std::array<std::uint32_t, static_cast<std::size_t>(Slot::none) + 1> begins_{};
};

struct SlotPair {
  SlotFields original;
  SlotFields visible;
};

/// All fields of one name on both sides.
struct SlotView {
  std::span<const message::Field> original;
  std::span<const message::Field> visible;
  SlotView(const SlotPair& pair, Slot slot)
      : original(pair.original.all(slot)), visible(pair.visible.all(slot)) {}
  /// Octet for octet the same fields.
  [[nodiscard]] bool same() const;
  /// Whether everything that the upstream says with the strings below this node stands, in order, in the
  /// original fields: else it read something else than we did, and is not to be believed.
  [[nodiscard]] bool vouches(const ImapValue& value, std::uint32_t node) const;

 private:
  [[nodiscard]] bool vouches_plainly(const ImapValue& value, std::uint32_t node) const;
};

/// A field's body as servers tell it: without line ends and leading white space; what pads its end stays.
std::string slot_text(std::string_view body);

/// Strings that differ only in white space, 8-bit octets and quoting are alike.
std::string essence(std::string_view text);

}  // namespace kage::proxy
