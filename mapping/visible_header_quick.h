// The short way to a visible header: ordinary blocks, field by field, with what is known of each field.
//
// It gives what the long way (VisibleScan, VisibleWriter) gives at its first step, or nothing: wherever
// fields have to be compared with each other, octets are odd, or room is short, it says so and the long way
// is gone.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mapping/field_policy.h"
#include "mapping/visible_header_cache.h"
#include "mapping/visible_header_fit.h"
#include "message/header.h"

namespace kage::mapping {

class QuickView {
 public:
  /// Appends what a block shows and returns true; or returns false, and `out` is to be cut back.
  bool show(Deriver& deriver, const Viewer& viewer, BlockKind kind, std::string_view block, std::string& out,
            std::vector<PhantomWrite>& fresh);
  /// The same for the fields that ENVELOPE tells of alone, without filler. False too where room could be so
  /// short that show() would write one of them otherwise.
  bool show_envelope(Deriver& deriver, const Viewer& viewer, std::string_view block, std::string& out,
                     std::vector<PhantomWrite>& fresh);
  void clear() {
    people_.clear();
    others_.clear();
  }

 private:
  /// What one field looks like.
  struct Form {
    enum class Kind : unsigned char { stays, made, context };
    Kind kind = Kind::context;
    std::string made;  ///< empty: nothing is left of it
    std::size_t lines = 0;
    std::vector<std::pair<std::string, std::string>> phantoms;  ///< local part, spelling
  };
  struct Work {
    Deriver& deriver;
    const Viewer& viewer;
    Draft draft;
    Extent used;  ///< of the other fields, where they are left out, an upper bound
    std::vector<PhantomWrite>& fresh;
    bool envelope = false;  ///< other fields than those of ENVELOPE are left out
  };

  bool walk(Work& work, BlockKind kind, std::string_view block, Extent& room, std::string_view& rest);

  bool write(Work& work, const message::Field& field, const FieldRule& rule, std::size_t lines);
  static bool count_ids(Work& work, const message::Field& field, const FieldRule& rule, std::size_t lines);
  static bool write_ids(Work& work, const message::Field& field, const FieldRule& rule, std::size_t lines);
  static Form look(Work& work, const message::Field& field, const FieldRule& rule);

  // Apart, since people come again and subjects do not.
  RecentMap<Form> people_{16384, 512, metrics::Gauge::cache_fields_derived};
  RecentMap<Form> others_{4096, 512, metrics::Gauge::cache_fields_derived};
};

}  // namespace kage::mapping
