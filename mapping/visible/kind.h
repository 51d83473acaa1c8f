// What a block is, and what it says of the content behind it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace kage::mapping {

enum class BlockKind : std::uint8_t {
  message,  ///< header of a whole message, or of a message/rfc822 part
  part,     ///< MIME header of a body part
};

/// What a block says of the content behind it: the bodies of the first Content-Type and the first
/// Content-Transfer-Encoding, folds included. They lie in the block.
struct ContentFields {
  std::optional<std::string_view> type, encoding;
};
ContentFields content_fields(std::string_view block);

/// What a Content-Type says about the octets behind a header.
struct ContentKind {
  enum class Kind : std::uint8_t {
    leaf,
    multipart,
    message,  ///< message/rfc822, message/global and their kin
    headers,  ///< text/rfc822-headers, message/global-headers: header blocks and nothing else
    report,   ///< message/delivery-status and its kin: blocks of fields that hold addresses
    hidden,   ///< unreadable: it could be any of the others, so it is blanked (contract R3.8)
  } kind = Kind::leaf;
  std::string boundary{};  ///< multipart
  bool digest = false;     ///< multipart/digest: parts without a Content-Type are messages (RFC 2046 §5.1.5)
  bool html = false;       ///< leaf of text/html: its `cid:` URLs follow Content-ID
  enum class Encoding : std::uint8_t { identity, quoted_printable, base64 } encoding = Encoding::identity;
};
/// Reads Content-Type and Content-Transfer-Encoding of a block; the first of each counts. Anything but a
/// multipart is a leaf when it is in base64 (RFC 2046 §5.2.1). A multipart without a boundary is a leaf too.
ContentKind content_kind(const ContentFields& fields, bool in_digest = false);
ContentKind content_kind(std::string_view header_block, bool in_digest = false);
/// The same of the front of a block that is longer than any that is held: what it does not call something
/// else is hidden, since a field behind may.
ContentKind content_kind_of_front(std::string_view front, bool in_digest = false);

}  // namespace kage::mapping
