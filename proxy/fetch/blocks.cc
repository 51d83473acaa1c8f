// Blocks in, blocks of the same size out.
#include "proxy/fetch/blocks.h"

#include <algorithm>

#include "base/text.h"

namespace kage::proxy {
namespace {

bool is_empty_line(std::string_view line) {
  return line == "\r\n" || line == "\n";
}

/// Servers end named fields of a message with an empty line even where its header has none, so that one
/// cannot tell from them whether it has.
void end_block(std::string& fields) {
  if (!fields.empty() && !fields.ends_with('\n')) fields += "\r\n";
  const bool ended =
      fields == "\n" || fields == "\r\n" || fields.ends_with("\n\n") || fields.ends_with("\n\r\n");
  if (!ended) fields += "\r\n";
}

/// The name of the field that begins with this line; empty when none does.
std::string_view field_name(std::string_view line) {
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return {};
  return trim(line.substr(0, colon));
}

}  // namespace

mapping::Viewer viewer_of(const ImapCore& core, std::string_view header_block) {
  return mapping::choose_viewer(*core.audience.routes, core.audience.members, header_block);
}

void show_block(ImapCore& core, const mapping::Viewer& viewer, mapping::BlockKind kind,
                std::string_view block, std::string& out) {
  if (viewer.own || block.empty() || is_empty_line(block)) {
    out += block;
    return;
  }
  const std::size_t before = out.size();
  std::vector<mapping::PhantomWrite> fresh;
  core.view.show(viewer, kind, block, out, fresh);
  core.out.need(core.audience.routes, std::move(fresh));
  if (out.size() - before == block.size()) return;
  // Never another size than the one that is told, and never the original (contract R3.8).
  out.resize(before);
  out.append(block.size(), ' ');
}

bool show_fields(ImapCore& core, const mapping::Viewer& viewer, const mapping::FieldSet& reported,
                 std::string_view fields, std::string& out, std::string& original) {
  std::vector<mapping::PhantomWrite> fresh;
  if (!core.view.show_fields(viewer, reported, fields, out, original, fresh)) return false;
  core.out.need(core.audience.routes, std::move(fresh));
  return true;
}

std::string filter_fields(std::string_view block, const std::vector<std::string>& names, bool without) {
  std::string out;
  bool taken = false;
  while (!block.empty()) {
    const std::size_t end = block.find('\n');
    const std::string_view line = block.substr(0, end == std::string_view::npos ? end : end + 1);
    block.remove_prefix(line.size());
    if (is_empty_line(line)) {
      out += line;
      continue;
    }
    if (!is_wsp(line.front())) {
      const std::string_view name = field_name(line);
      taken =
          std::ranges::any_of(names, [&](std::string_view n) { return equals_nocase(n, name); }) != without;
    }
    if (taken) out += line;
  }
  return out;
}

std::string block_answer(const FetchItem& item, std::string_view visible) {
  std::string fields;
  if (item.fields) {
    fields = filter_fields(visible, item.names, item.without);
    if (item.kind == FetchKind::header && !item.without) end_block(fields);
    visible = fields;
  }
  if (item.partial) {
    visible.remove_prefix(std::min<std::uint64_t>(item.partial->offset, visible.size()));
    visible = visible.substr(0, item.partial->count);
  }
  return std::string(visible);
}

void append_item(std::string& text, std::string_view name, std::string_view value) {
  if (!text.empty()) text += ' ';
  text.append(name).append(" ").append(value);
}

void append_literal(std::string& text, std::string_view label, std::string_view octets) {
  append_item(text, label, "{" + std::to_string(octets.size()) + "}\r\n");
  text += octets;
}

}  // namespace kage::proxy
