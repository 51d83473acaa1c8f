// What every command that talks to Redis does first and last. Internal to the commands.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "app/config.h"
#include "app/redis_access.h"
#include "mapping/store/phantom_scan.h"
#include "mapping/store/route_store.h"
#include "net/loop.h"

namespace kage::app {

/// Exit code of a command that would forget somebody for good, where nobody allowed it.
inline constexpr int kNotConfirmed = 3;

/// A command's Redis, key and routes, for as long as the command runs.
struct CommandSession {
  net::Loop& loop;
  const Config& config;
  net::Redis& redis;
  MasterKeyAccess master;
  mapping::Routes routes;  ///< generation 0: there are none yet
};

/// What a command does; returns its exit code.
using CommandBody = std::function<net::Task<int>(CommandSession&)>;

/// Opens Redis, the key and the routes, runs `body`, and closes all of it. A failure is printed and is exit
/// code 1. `may_create`: a first run may make the key file.
int run_command(const Config& config, std::string name, bool may_create, CommandBody body);

/// Names of the configuration's providers, for routes files.
std::vector<std::string> provider_names(const Config& config);

/// Prints why a command failed. Of routes that were to be changed, print_change_failure() also knows what to
/// do when somebody else changed them meanwhile.
void print_failure(const Error& error);
void print_change_failure(const Error& error);

/// A public address as the operator wrote it; null, and a line that says so, when there is none.
const mapping::PublicAddress* find_address(const mapping::RouteTable& routes, const std::string& text);
/// The same for a mailbox behind it.
const mapping::Member* find_member(const mapping::PublicAddress& address, const std::string& text);

/// Whether a step may be done that takes something for good: `yes` (--yes) was said, or the terminal's user
/// answers `question` so. Prints why not, with `loss`, a sentence with "would".
bool may_lose(std::string_view loss, const std::string& question, bool yes);

/// What dies with members, counted before they are forgotten; on a large Redis estimated.
net::Task<Result<mapping::PhantomCensus>> count_dying(CommandSession& session,
                                                      std::vector<mapping::MemberId> members);
/// "12 phantoms", "about 1200 phantoms", "fewer than 30 phantoms".
std::string phantoms_of(const mapping::PhantomCensus& census, mapping::MemberId member);
std::string phantoms_of_all(const mapping::PhantomCensus& census);

/// Deletes what forgotten members left behind, with progress, and says what could not be deleted. A file in
/// the state folder remembers an unfinished purge, so that the next apply or forget ends it. False: something
/// is left.
net::Task<bool> purge_forgotten(CommandSession& session);
/// To be called before a step that forgets anybody.
Result<> remember_purge(const Config& config);
/// An earlier purge did not end.
bool purge_pending(const Config& config);

}  // namespace kage::app
