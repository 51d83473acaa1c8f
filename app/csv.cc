// One pass over the text, never backwards.
#include "app/csv.h"

#include <algorithm>

namespace kage::app {

CsvReader::CsvReader(std::string_view text) : text_(text) {
  if (text_.starts_with("\xEF\xBB\xBF")) text_.remove_prefix(3);
}

bool CsvReader::line_end() {
  if (text_.substr(at_).starts_with("\r\n")) {
    at_ += 2;
  } else if (!at_end() && text_[at_] == '\n') {
    ++at_;
  } else {
    return false;
  }
  ++line_;
  return true;
}

Result<> CsvReader::quoted(std::string& field) {
  const std::size_t opened = line_;
  ++at_;
  while (!at_end()) {
    const char c = text_[at_++];
    if (c == '"') {
      if (at_end() || text_[at_] != '"') {
        if (!at_end() && text_[at_] != ',' && text_[at_] != '\n' && !text_.substr(at_).starts_with("\r\n")) {
          return fail(Errc::invalid, "text after a closing quote");
        }
        return {};
      }
      ++at_;
    } else if (c == '\n') {
      ++line_;
    }
    if (field.size() == kMaxField) return fail(Errc::limit, "a value of more than 4096 octets");
    field += c;
  }
  line_ = opened;
  return fail(Errc::invalid, "a quote that is never closed");
}

Result<> CsvReader::bare(std::string& field) {
  while (!at_end() && text_[at_] != ',' && text_[at_] != '\n' && !text_.substr(at_).starts_with("\r\n")) {
    const char c = text_[at_++];
    if (c == '"') return fail(Errc::invalid, "a quote inside a value that is not in quotes");
    if (c == '\r') return fail(Errc::invalid, "a carriage return without a line feed");
    if (field.size() == kMaxField) return fail(Errc::limit, "a value of more than 4096 octets");
    field += c;
  }
  return {};
}

Result<bool> CsvReader::next(CsvRow& row) {
  while (line_end()) ++row_;
  row.line = line_;
  row.row = row_;
  row.fields.clear();
  if (at_end()) return false;
  while (true) {
    if (row.fields.size() == kMaxFields) return fail(Errc::limit, "more than 100 columns");
    std::string& field = row.fields.emplace_back();
    const auto read = !at_end() && text_[at_] == '"' ? quoted(field) : bare(field);
    if (!read) return std::unexpected(read.error());
    if (at_end()) return true;
    if (line_end()) {
      ++row_;
      return true;
    }
    ++at_;  // the comma
  }
}

bool CsvReader::skip_row() {
  at_ = std::min(text_.find('\n', at_), text_.size());
  if (at_end()) return false;
  line_end();
  ++row_;
  return true;
}

}  // namespace kage::app
