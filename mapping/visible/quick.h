// The short way to a visible header: ordinary blocks, field by field, with what is known of each field.
//
// It gives what the long way (VisibleScan, VisibleWriter) gives at its first step, or nothing: wherever
// fields have to be compared with each other, octets are odd, or room is short, it says so, and the
// caller takes the long way.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mapping/rewrite/field_policy.h"
#include "mapping/store/directory.h"
#include "mapping/visible/cache.h"
#include "mapping/visible/fit.h"
#include "mapping/visible/forms.h"
#include "mapping/visible/kind.h"
#include "message/header.h"

namespace kage::mapping {

class QuickView {
 public:
  /// Appends what a block shows and returns true; or returns false, and `out` is to be cut back.
  /// `content`: as of HeaderView::show(), when it returns true.
  bool show(Deriver& deriver, const Viewer& viewer, BlockKind kind, std::string_view block, std::string& out,
            std::vector<PhantomWrite>& fresh, ContentFields* content = nullptr);
  /// The same for the block that `text` begins with, which ends with the first empty line. How large it is;
  /// 0: `out` is to be cut back.
  std::size_t show_front(Deriver& deriver, const Viewer& viewer, BlockKind kind, std::string_view text,
                         std::string& out, std::vector<PhantomWrite>& fresh, ContentFields& content);
  /// HeaderView::show_fields(). False too where room could be so short that show() would write a field
  /// otherwise.
  bool show_fields(Deriver& deriver, const Viewer& viewer, const FieldSet& told, std::string_view fields,
                   std::string& out, std::string& original, std::vector<PhantomWrite>& fresh);
  void clear() {
    people_.clear();
    others_.clear();
  }

 private:
  struct Work {
    Deriver& deriver;
    const Viewer& viewer;
    Draft draft;
    Extent used;  ///< of the other fields, where they are left out, an upper bound
    std::vector<PhantomWrite>& fresh;
    ContentFields content;
    const FieldSet* told = nullptr;   ///< others are left out
    std::string* original = nullptr;  ///< gets those of `told` as they came
    bool left_out = false;            ///< the field in hand
    std::size_t spare_lines = 0;      ///< of `used`: at most so many are too many

    void take(const message::Field& field, const FieldRule& rule);
    void add_as_it_came(const message::Field& field, std::size_t lines);
  };

  /// `rest`: the empty line and what is behind it.
  bool walk(Work& work, BlockKind kind, std::string_view block, Extent& room, std::string_view& rest);

  bool write(Work& work, const message::Field& field, const FieldRule& rule, std::size_t lines);
  static bool count_ids(Work& work, const message::Field& field, const FieldRule& rule, std::size_t lines);
  static bool write_ids(Work& work, const message::Field& field, const FieldRule& rule, std::size_t lines);
  bool write_form(Work& work, const message::Field& field, const FieldRule& rule, std::size_t lines);
  static void write_as(Work& work, const message::Field& field, std::size_t lines, FieldForm form);
  static std::optional<FormWriter> look(Work& work, const message::Field& field, const FieldRule& rule);

  // Forms by the field as it came. Apart, since people come again and subjects do not.
  RecentTexts people_{{.sets = 4096, .octets = 8 << 20, .longest = 2048},
                      metrics::Gauge::cache_fields_derived};
  RecentTexts others_{{.sets = 256, .octets = 512 << 10, .longest = 2048},
                      metrics::Gauge::cache_fields_derived};
  std::vector<Draft::Region> rewritten_;  ///< of the block in the making
};

}  // namespace kage::mapping
