// A mail system's report on its way to the member: its body is read whole before the copy is begun, since it
// tells what the copy says.
#include <utility>

#include "base/metrics.h"
#include "submission/bounce_report.h"
#include "submission/incoming.h"

namespace kage::submission {

/// Our words in place of a mail system's. False: not now.
net::Task<bool> Incoming::write_bounce() {
  const mapping::Member& member = *plan_->bounced_to();
  BounceReport report = read_bounce_report(bounce_);
  if (report.kind == BounceReport::Kind::none) co_return true;
  if (!co_await keep_known(report.mentioned)) co_return false;
  if (!co_await store_bounced(report)) co_return false;
  if (!plan_->set_bounce_kind(*header_, report.kind)) co_return false;
  co_await make_delivery();
  if (!delivery_) co_return true;
  const std::string body = bounce_body(report, member);
  set_time();
  co_await delivery_->open();
  co_await delivery_->write(body);
  co_return true;
}

/// Leaves those whose phantom the member has. A text may mention anybody: nothing is stored for it, and
/// neither answer nor time tells its writer whom the member knows.
net::Task<bool> Incoming::keep_known(std::vector<message::Address>& mentioned) {
  if (mentioned.empty()) co_return true;
  const mapping::Member& member = *plan_->bounced_to();
  std::vector<std::string> locals;
  for (const message::Address& address : mentioned)
    locals.push_back(mapping::phantom_local(member, address.canonical()));
  metrics::add(metrics::Counter::redis_waits);
  const auto resolved = co_await services_.directory.resolve(std::move(locals));
  if (!resolved) co_return false;
  auto value = resolved->values.begin();
  std::erase_if(mentioned, [&](const message::Address&) {
    const auto& found = *value++;
    return !found || found->member->id != member.id;
  });
  co_return true;
}

/// The phantoms that our words name (contract R4.4).
net::Task<bool> Incoming::store_bounced(const BounceReport& report) {
  const mapping::Member& member = *plan_->bounced_to();
  std::vector<mapping::PhantomWrite> writes;
  for (const BounceReport::Copy& copy : report.copies) {
    writes.push_back(
        {&member, mapping::phantom_local(member, copy.recipient.canonical()), copy.recipient.spelling});
  }
  if (writes.empty()) co_return true;
  const auto stored = co_await services_.directory.store(plan_->routes(), std::move(writes));
  co_return stored.has_value();
}

}  // namespace kage::submission
