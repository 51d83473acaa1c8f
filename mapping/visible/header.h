// What a member sees of a header block in its own mailbox, at constant size (contract R8.1, R8.2).
//
// A block of a fetched message becomes another of exactly as many octets and exactly as many lines: fields
// that may not cross go, addresses become phantoms, ids are sealed, and a filler field takes what is left.
// What is shown depends on the viewer and the block alone, so that every session, worker and node tells the
// same story.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "mapping/rewrite/field_policy.h"
#include "mapping/store/directory.h"
#include "mapping/visible/kind.h"
#include "mapping/visible/viewer.h"

namespace kage::mapping {

/// Whether a field of this name may be the filler of a visible block.
bool is_filler(std::string_view name);

/// One for each worker: it keeps bounded caches of what was derived.
class HeaderView {
 public:
  HeaderView();
  ~HeaderView();
  HeaderView(const HeaderView&) = delete;
  HeaderView& operator=(const HeaderView&) = delete;

  /// Appends exactly block.size() octets to `out`. `block` ends with its empty line when it has one; one that
  /// was cut (a message without a body) may lack it. `fresh`: phantoms that are shown and must be in Redis
  /// before anybody sees them (R4.4); repeats are possible. Never fails: where there is no room, display
  /// names, comments, ids, the tail of References and excess recipients give way in steps, never privacy and
  /// never size. Fields of ENVELOPE give way last. Returns the step, 0 when everything had room; metrics
  /// count the others. `content`: gets content_fields() of the block, which are met on the way.
  unsigned show(const Viewer& viewer, BlockKind kind, std::string_view block, std::string& out,
                std::vector<PhantomWrite>& fresh, ContentFields* content = nullptr);

  /// For an ordinary block that `text` begins with and that its first empty line ends: appends what show()
  /// does and returns how large the block is. 0: it is not that ordinary, or goes on behind `text`; nothing
  /// was appended.
  std::size_t show_front(const Viewer& viewer, BlockKind kind, std::string_view text, std::string& out,
                         std::vector<PhantomWrite>& fresh, ContentFields& content);

  /// For a message of which the deciding_fields() alone were read. Appends those that `told` names, as show()
  /// writes them in the whole block, and the empty line, without a filler; `original` gets them as they came.
  /// False: one cannot know how show() writes them without the rest of the block; nothing was appended.
  bool show_fields(const Viewer& viewer, const FieldSet& told, std::string_view fields, std::string& out,
                   std::string& original, std::vector<PhantomWrite>& fresh);

  /// The Content-ID (without brackets) as the viewer sees it, of the same length; also what a `cid:` URL
  /// names.
  std::string content_id(const Viewer& viewer, std::string_view id);

  /// The routes changed: forgets everything.
  void clear();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace kage::mapping
