// Writing the fields of a visible header, with less and less in them where there is no room (contract R8.1).
#pragma once

#include <cstddef>
#include <limits>
#include <string>
#include <vector>

#include "mapping/routes/anonymity.h"
#include "mapping/store/directory.h"
#include "mapping/visible/cache.h"
#include "mapping/visible/scan.h"

namespace kage::mapping {

/// What gives way, one after the other. Each step also gives up everything that the earlier ones gave up.
/// The names are metric labels.
enum class Step : unsigned char {
  none,        ///< everything has room
  references,  ///< References but for their ends; fields that ENVELOPE does not show
  names,       ///< display names and comments beside addresses that were replaced
  ids,         ///< In-Reply-To and References; Message-ID is a short one
  text,        ///< what stands for an address in Subject and file names; the end of such a Subject
  recipients,  ///< recipients that do not fit
  fields,      ///< every field that cannot stay as it came, but for what the body's structure needs
  all,         ///< everything
};

class VisibleWriter {
 public:
  /// All of them outlive the writer.
  VisibleWriter(Deriver& deriver, const Viewer& viewer, const VisibleScan& scan, LineEnds ends);

  /// Appends the fields that are left at `step`, without filler. `room`: of the whole block.
  void write(Draft& draft, Step step, Extent room);

  /// Whether field `number` leaves byte for byte.
  [[nodiscard]] bool stays(std::size_t number) const { return stays_[number]; }

  /// Phantoms that may be in what was written.
  void report(std::vector<PhantomWrite>& fresh) const;

 private:
  static constexpr std::size_t kNoLimit = std::numeric_limits<std::size_t>::max();

  void write_field(Draft& draft, std::size_t number);
  void write_addresses(const ScannedField& field, const AddressScan& scan, std::size_t limit);
  void write_id_field(const ScannedField& field, const IdScan& scan);
  void write_content_id(const ScannedField& field, const IdScan& scan);
  void write_text(const ScannedField& field, const TextScan& scan);
  void write_parameters(const ScannedField& field, const ParameterScan& scan);
  void limit_recipients(Draft& draft, Extent room);
  [[nodiscard]] bool is_given_up(const ScannedField& field) const;
  [[nodiscard]] bool stays(const ScannedField& field);
  [[nodiscard]] bool stays(const ScannedField& field, const AddressScan& scan) const;
  [[nodiscard]] bool hides(const ScannedField& field, const AddressItem& item) const;
  [[nodiscard]] bool names_itself(const ScannedField& field, const AddressItem& item) const;
  [[nodiscard]] Anonymity judge_subject(const ScannedField& field) const;

  Deriver& deriver_;
  const Viewer& viewer_;
  const VisibleScan& scan_;
  LineEnds ends_;
  StandIns stand_ins_, removals_;    ///< removals: nothing stands for an address
  std::vector<std::size_t> limits_;  ///< items of an address field, by its number
  std::vector<bool> stays_;          ///< leaves byte for byte, by its number
  std::string made_;                 ///< the field in the making
  Step step_ = Step::none;
};

}  // namespace kage::mapping
