// A form as a flat JSON object of strings (RFC 8259). Internal to form_data.cc.
#pragma once

#include <memory>

#include "message/form_data.h"

namespace kage::message {

/// Texts only: files are sent as multipart/form-data. Values that are no strings, nested ones, and half
/// surrogates are malformed.
std::unique_ptr<FormReader> make_json_reader(const FormLimits& limits);

}  // namespace kage::message
