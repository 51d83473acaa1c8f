// Dialogs with a session as text (style.md, habit 7). A file in dialogs/ is one dialog:
//
//   face: inbound|submission|submissions   peer: IP            set: OPTION NUMBER
//   C: line          sent with CRLF; C lines in a row leave in one write
//   C<text>          sent as it is between the angle brackets; \r \n \t \0 \\ \xHH are understood
//   C*N: line        N lines, "%d" in it counts from 1
//   S: pattern       the next line of the server; '*' at the end stands for anything
//   S*N: pattern     N such lines
//   EOF              the server closes
//   TLS              the client shakes hands
//   DELIVERED: N     so many messages reached the next hop until now
//   LAST: text       the last delivered message holds this text;  NOT: text   it does not
//   # comment
//
// "${phantom MAILBOX CORRESPONDENT}" is the member's phantom, "${plain LOGIN PASSWORD}" the PLAIN response,
// "${base64 TEXT}" what it says.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "session_rig.h"

namespace kage::submission::test {

/// Plays a dialog. Empty when all came as written, else what was wrong and in which line.
std::string play(const std::string& file);
/// The same with every octet of the client in a write of its own.
std::string play_trickling(const std::string& file);

/// All files of dialogs/, sorted.
std::vector<std::string> dialog_files();

}  // namespace kage::submission::test
