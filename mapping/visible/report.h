// The fields of delivery status, disposition and feedback reports, as a member sees them.
#pragma once

#include <string>
#include <string_view>

namespace kage::mapping {

/// Appends one block of such fields in its visible form: exactly as many octets and lines. Fields that say
/// what happened stay (Action, Status, Disposition, dates); of the others the names of the known ones stay
/// and their values become filler. `block` may end with its empty line.
void show_report_block(std::string_view block, std::string& out);

/// Appends as many octets with the line ends where they were and '.' everywhere else.
void append_blanked(std::string_view text, std::string& out);

}  // namespace kage::mapping
