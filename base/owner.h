// Whose a file is and whose it should be, in words for an operator.
#pragma once

#include <string>

namespace kage {

/// A user's name, or the number where the system knows no name.
std::string user_name(unsigned id);

/// Behind an error about a path that may not be used: "; it belongs to root and has to belong to kagemusha,
/// who runs this". Where the path is not there, or out of sight, it speaks of the nearest folder above that
/// is. Empty where that is ours: then it is not the owner that is wrong.
std::string owner_hint(const std::string& path);

}  // namespace kage
