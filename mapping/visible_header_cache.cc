// Look-ups before derivations.
#include "mapping/visible_header_cache.h"

#include "mapping/phantom.h"
#include "mapping/rewrite_ids.h"

namespace kage::mapping {

const std::string& Deriver::phantom(const Viewer& viewer, std::string_view canonical) {
  const ViewKey view(viewer);
  if (const std::string* known = phantoms_.find(view, canonical)) return *known;
  last_ = phantom_local(*viewer.member, canonical);
  phantoms_.put(view, canonical, last_);
  return last_;
}

const std::string& Deriver::id(const Viewer& viewer, std::string_view id) {
  const ViewKey view(viewer);
  if (const std::string* known = ids_.find(view, id)) return *known;
  last_.clear();
  append_id_in_view(last_, *viewer.routes, *viewer.member, id);
  ids_.put(view, id, last_);
  return last_;
}

void Deriver::clear() {
  phantoms_.clear();
  ids_.clear();
  last_ = {};
}

}  // namespace kage::mapping
