// The token of a web form: tells when somebody opened it, signed, without state, good on every node.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "mapping/keys/keys.h"

namespace kage::app {

/// `address`: canonical public address that the form writes to. `now`: seconds.
std::string make_form_token(const mapping::MasterKeys& master, std::string_view address, std::int64_t now);

/// When it was made; nothing when it is not ours or of another address.
std::optional<std::int64_t> open_form_token(const mapping::MasterKeys& master, std::string_view address,
                                            std::string_view token);

}  // namespace kage::app
