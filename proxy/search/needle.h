// The strings that one search string becomes: itself, and the real addresses and ids that its phantoms and
// sealed ids stand for.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "mapping/store/directory.h"
#include "mapping/visible/message.h"

namespace kage::proxy {

struct Needle {
  std::string text;                   ///< UTF-8, not empty
  std::string form;                   ///< search_form() of it
  std::vector<std::string> phantoms;  ///< local parts in it that may be phantoms, lower case; few
  std::vector<std::string> upstream;  ///< other strings to narrow by: what stands upstream for what is in it
  /// Local part and domain of what its phantoms stand for, but the shortest: in a field they may stand apart
  /// ("hana @ x.example", "hana(comment)@x.example"), and servers search in addresses as they read them.
  std::vector<std::pair<std::string, std::string>> apart;
  /// It has a whole phantom of the login's: only messages with that phantom's address can show it, and those
  /// the other strings find.
  bool whole = false;
  std::string id;  ///< a whole msg-id without brackets, when it is one and the field is one of ids
};

Needle make_needle(std::string text);
/// What resolve() said of needle.phantoms.
void use_phantoms(Needle& needle, const mapping::Audience& audience,
                  const std::vector<mapping::PhantomValue>& values);
/// For fields of ids (Message-ID, References, …): what else the id stands for, both ways.
void use_id(Needle& needle, const mapping::Audience& audience);

/// Whether the string could be a piece of an address at one of the audience's phantom domains.
bool could_be_in_phantom(const Needle& needle, const mapping::Audience& audience);

}  // namespace kage::proxy
