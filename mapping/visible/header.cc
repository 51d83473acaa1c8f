// Showing header blocks step by step until one fits.
#include "mapping/visible/header.h"

#include <algorithm>
#include <array>

#include "base/metrics.h"
#include "base/text.h"
#include "mapping/rewrite/ids.h"
#include "mapping/routes/anonymity.h"
#include "mapping/visible/quick.h"
#include "mapping/visible/write.h"

namespace kage::mapping {
namespace {

using metrics::Counter;

constexpr std::size_t kFieldsRoom = 1024;  ///< what the fields of most lists of messages fit into
constexpr std::size_t kBlockRoom = 8192;   ///< what most header blocks fit into

void count(Step step) {
  constexpr std::array kCounters = {
      Counter::size_fallbacks_references, Counter::size_fallbacks_names,      Counter::size_fallbacks_ids,
      Counter::size_fallbacks_text,       Counter::size_fallbacks_recipients, Counter::size_fallbacks_fields,
      Counter::size_fallbacks_all,
  };
  if (step != Step::none) metrics::add(kCounters[static_cast<std::size_t>(step) - 1]);
}

}  // namespace

bool is_filler(std::string_view name) {
  return equals_nocase(name, kFillerField) || equals_nocase(name, kFillerField.substr(0, 1));
}

struct HeaderView::State {
  Deriver deriver;
  QuickView quick;

  unsigned show_whole(const Viewer& viewer, BlockKind kind, std::string_view block, std::string& out,
                      std::vector<PhantomWrite>& fresh);
};

HeaderView::HeaderView() : state_(std::make_unique<State>()) {}
HeaderView::~HeaderView() = default;

/// The long way, by all steps.
unsigned HeaderView::State::show_whole(const Viewer& viewer, BlockKind kind, std::string_view block,
                                       std::string& out, std::vector<PhantomWrite>& fresh) {
  const BlockText text(block);
  const Extent room = extent_of(text.fields);
  const std::size_t base = out.size();
  Step step = Step::all;
  VisibleScan scan;
  std::vector<Draft::Region> rewritten;
  if (scan.scan(kind, text.fields)) {
    VisibleWriter writer(deriver, viewer, scan, text.ends);
    for (step = Step::none; step != Step::all; step = static_cast<Step>(static_cast<unsigned>(step) + 1)) {
      rewritten.clear();
      Draft draft{out, base, rewritten};
      writer.write(draft, step, room);
      const Extent used = extent_of(std::string_view(out).substr(base));
      if (fit(draft, used, room, text.ends) && out.ends_with(text.added)) break;
      out.resize(base);
    }
    if (step != Step::all) writer.report(fresh);
  }
  if (step == Step::all) append_filler(out, room, text.ends);
  count(step);
  out.resize(out.size() - text.added.size());
  out += text.empty;
  return static_cast<unsigned>(step);
}

unsigned HeaderView::show(const Viewer& viewer, BlockKind kind, std::string_view block, std::string& out,
                          std::vector<PhantomWrite>& fresh, ContentFields* content) {
  if (viewer.own) {
    out += block;
    if (content != nullptr) *content = content_fields(block);
    return 0;
  }
  metrics::add(Counter::headers_shown);
  const std::size_t base = out.size();
  const std::size_t known = fresh.size();
  if (out.empty()) out.reserve(block.size());
  // The short way knows nothing of authors who are shown and of subjects that lose a marker.
  const bool plain = !may_show_authors(viewer.member->address->spec);
  if (plain && state_->quick.show(state_->deriver, viewer, kind, block, out, fresh, content)) return 0;
  out.resize(base);
  fresh.resize(known);
  if (content != nullptr) *content = content_fields(block);
  return state_->show_whole(viewer, kind, block, out, fresh);
}

std::size_t HeaderView::show_front(const Viewer& viewer, BlockKind kind, std::string_view text,
                                   std::string& out, std::vector<PhantomWrite>& fresh,
                                   ContentFields& content) {
  if (viewer.own || may_show_authors(viewer.member->address->spec)) return 0;
  const std::size_t base = out.size();
  const std::size_t known = fresh.size();
  if (out.empty()) out.reserve(std::min(text.size(), kBlockRoom));
  const std::size_t size = state_->quick.show_front(state_->deriver, viewer, kind, text, out, fresh, content);
  if (size != 0) {
    metrics::add(Counter::headers_shown);
  } else {
    out.resize(base);
    fresh.resize(known);
  }
  return size;
}

bool HeaderView::show_fields(const Viewer& viewer, const FieldSet& told, std::string_view fields,
                             std::string& out, std::string& original, std::vector<PhantomWrite>& fresh) {
  if (viewer.own || may_show_authors(viewer.member->address->spec)) return false;
  const std::size_t base = out.size();
  const std::size_t original_base = original.size();
  const std::size_t known = fresh.size();
  for (std::string* each : {&out, &original}) {
    if (each->empty()) each->reserve(std::min(fields.size(), kFieldsRoom));
  }
  if (state_->quick.show_fields(state_->deriver, viewer, told, fields, out, original, fresh)) {
    metrics::add(Counter::headers_shown);
    return true;
  }
  out.resize(base);
  original.resize(original_base);
  fresh.resize(known);
  return false;
}

std::string HeaderView::content_id(const Viewer& viewer, std::string_view id) {
  return viewer.own ? std::string(id) : masked_content_id(*viewer.member, id);
}

void HeaderView::clear() {
  state_->deriver.clear();
  state_->quick.clear();
}

}  // namespace kage::mapping
