// Header blocks as mail systems deliver them: an ordinary message with the trace fields of its way.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "canary.h"

namespace kage::mapping::test {

/// Makes header blocks with their empty line, CRLF. The same seed, the same block.
class DeliveredHeader {
 public:
  /// `public_address`: to whom the message was sent; `mailbox`: where it was delivered.
  DeliveredHeader(std::uint64_t seed, std::string public_address, std::string mailbox);
  std::string block();

 private:
  std::string person();
  std::string id();
  std::string subject();
  std::string address_list(std::string_view name, std::size_t count);
  std::string received(std::string_view by);
  std::string gmail();
  std::string carrier();
  std::string postfix();
  std::string author();

  Numbers numbers_;
  std::string public_address_, mailbox_;
};

}  // namespace kage::mapping::test
