// Forms as application/json: the first octet says where the rest is cut.
#include "tests/fuzz/form_checks.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return kage::fuzz::check_form("application/json", kage::fuzz::text_of(data, size));
}
