// Of scripts/bench proxy: seals the two message ids of an ENVELOPE (contract R4.6) for a number of messages,
// and does nothing else. No header sync that rewrites can take less. Prints one line of JSON with the CPU
// seconds.
#include <fmt/format.h>

#include <cstdlib>
#include <ctime>
#include <string>

#include "base/text.h"
#include "mapping/phantom.h"
#include "mapping/routes/table.h"

using namespace kage;
using namespace kage::mapping;

namespace {

double cpu_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

}  // namespace

int main(int argc, char** argv) {
  const auto messages = parse_number(argc == 2 ? argv[1] : "");
  if (!messages) {
    fmt::print(stderr, "usage: seal_load MESSAGES\n");
    return 2;
  }
  const MasterKeys master(std::string(32, 'm'));
  const Member member{.id = 1, .spec = {}, .keys = MemberKeys(std::string(32, 'k')), .mailbox_canonical = {}};
  std::string out, message_id, in_reply_to;
  std::size_t octets = 0;
  const double begin = cpu_seconds();
  for (std::size_t i = 0; i < *messages; ++i) {
    // As imap_upstream's.
    message_id.clear();
    in_reply_to.clear();
    fmt::format_to(std::back_inserter(message_id), "{:06}.20260101105100.1A2B3C@stranger.test", i);
    fmt::format_to(std::back_inserter(in_reply_to), "{:06}.20251231.reply@school.example", i);
    out.clear();
    append_sealed_msg_id(out, master, member, message_id, "p.school.example");
    append_sealed_msg_id(out, master, member, in_reply_to, "p.school.example");
    octets += out.size();
  }
  fmt::print("{{\"messages\":{},\"octets\":{},\"cpu\":{:.6f}}}\n", *messages, octets, cpu_seconds() - begin);
  return 0;
}
