// What is remembered ends with the mailbox, with the routes, and with the next message.
#include "proxy/fetch/memory.h"

namespace kage::proxy {

FetchMemory::FetchMemory() = default;
FetchMemory::~FetchMemory() = default;
void FetchMemory::clear() {
  state.reset();
}

void FetchMemory::State::renew(const ImapCore& core) {
  if (selection == core.selection && routes == core.audience.routes) return;
  *this = {};
  selection = core.selection;
  routes = core.audience.routes;
}

bool FetchMemory::State::is_last(const ImapCore& core, bool by_uid, std::uint32_t key) const {
  if (key == 0) return false;
  return by_uid ? uid == key : number == key && renumbered == core.renumbered;
}

void FetchMemory::State::begin(const ImapCore& core, std::uint32_t message_uid,
                               std::uint32_t message_number) {
  const bool same = message_uid != 0 && uid != 0 ? uid == message_uid
                                                 : number == message_number && renumbered == core.renumbered;
  if (!same) {
    has_viewer = false;
    viewer = {};
    text = {};
    structure.clear();
    uid = 0;
  }
  if (message_uid != 0) uid = message_uid;
  number = message_number;
  renumbered = core.renumbered;
}

}  // namespace kage::proxy
