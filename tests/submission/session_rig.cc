#include "session_rig.h"

#include <sys/socket.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "base/random.h"
#include "base/text.h"
#include "mapping/store/route_store.h"
#include "net/tcp_stream.h"

namespace kage::submission::test {
namespace {

const std::string kMaster(32, 'k');

mapping::MemberSpec member_spec(std::string_view mailbox) {
  mapping::MemberSpec spec;
  spec.mailbox = message::parse_address(mailbox).value();
  spec.password_hash = kPasswordHash;
  return spec;
}

mapping::AddressSpec address_spec(std::string_view address,
                                  std::initializer_list<std::string_view> mailboxes) {
  mapping::AddressSpec spec;
  spec.address = message::parse_address(address).value();
  for (const auto mailbox : mailboxes) spec.members.push_back(member_spec(mailbox));
  return spec;
}

net::Task<void> store_routes(net::Redis& redis) {
  const auto master = std::make_shared<const mapping::MasterKeys>(kMaster);
  auto now = co_await mapping::load_routes(redis, master);
  if (!now) throw std::runtime_error("routes cannot be read");
  const auto done = co_await mapping::apply_routes(redis, *now, school(), {});
  if (!done) throw std::runtime_error("routes cannot be stored");
}

/// Dialogs use the same ids each time they are played: no ledger from before.
net::Task<void> forget_ledger(net::Redis& redis) {
  net::RedisBatch batch;
  batch.add({"EVAL", "for _, k in ipairs(redis.call('KEYS', 'kage:l:*')) do redis.call('DEL', k) end", "0"});
  const auto done = co_await redis.run(std::move(batch));
  if (!done) throw std::runtime_error("ledger not forgotten");
}

net::Task<void> refresh(mapping::Directory& directory, mapping::Routes& routes) {
  auto loaded = co_await directory.refresh();
  if (!loaded) throw std::runtime_error("routes are not there");
  routes = *loaded;
}

net::Task<void> store_phantom(mapping::Directory& directory, mapping::Routes routes,
                              mapping::BeginRequest request) {
  const auto begun = co_await directory.begin(routes, std::move(request));
  if (!begun) throw std::runtime_error("phantom not stored");
  const auto ended = co_await directory.finish(*begun, true);
  if (!ended) throw std::runtime_error("lock not released");
}

}  // namespace

mapping::RouteSpec school() {
  mapping::RouteSpec spec;
  spec.domains.push_back({"school.example", ""});
  spec.addresses.push_back(
      address_spec("pta@school.example", {"officer@gmail.example", "Taro@docomo.example"}));
  spec.addresses.push_back(address_spec("office@school.example", {"officer@gmail.example"}));
  return spec;
}

School::School() {
  std::ofstream(key_file()) << hex(kMaster) << "\n";
  using std::filesystem::perms;
  std::filesystem::permissions(key_file(), perms::owner_read | perms::owner_write);
  make_certificate(folder.path(), "mx.school.example");
  net::Loop loop;
  net::Redis client(loop, redis.options());
  run(loop, store_routes(client));
}

School& School::instance() {
  static School school;
  return school;
}

SessionRig::SessionRig()
    : redis(loop, School::instance().redis.options()),
      shared(School::instance().key_file()),
      directory(loop, redis, shared),
      sink(std::make_shared<SmtpSink>(loop)),
      providers({}),
      authenticator(loop, providers) {
  options.hostname = "mx.school.example";
  options.spool_dir = School::instance().folder.path();
  const std::string& folder = School::instance().folder.path();
  tls = tls::ServerContext::load({{folder + "/cert.pem", folder + "/key.pem"}}).value();
  sink->listen();
  NextHopOptions hop;
  hop.name = "sink";
  hop.domains = {"*"};
  hop.host = "127.0.0.1";
  hop.port = sink->port();
  hop.tls = HopTls::none;
  hop.command_timeout = net::Millis(5000);
  hop.final_timeout = net::Millis(5000);
  hops = std::make_unique<NextHops>(loop, "mx.school.example", std::vector{hop});
  run(loop, forget_ledger(redis));
  run(loop, refresh(directory, routes));
}

SessionRig::~SessionRig() {
  if (sessions) run(loop, sessions->stop(loop.now() + net::Millis(2000)));
  sessions.reset();
  hops.reset();
  sink->stop();
}

net::StreamPtr SessionRig::connect(Face face, std::string ip) {
  if (!sessions) {
    sessions =
        std::make_unique<Sessions>(Services{loop, directory, *hops, authenticator, throttle, tls, options});
  }
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) throw std::runtime_error("socketpair");
  auto server = net::adopt_unix(loop, ends[0]).value();
  auto client = net::adopt_unix(loop, ends[1]).value();
  sessions->start(face, std::move(server), net::PeerAddress{std::move(ip), 40000});
  return client;
}

const mapping::Member& SessionRig::member(std::string_view mailbox, std::string_view address) {
  const std::string canonical = message::parse_address(mailbox).value().canonical();
  for (const mapping::Member* each : routes->find_mailbox(canonical)) {
    if (each->address->canonical == address) return *each;
  }
  throw std::runtime_error("no such member");
}

std::string SessionRig::phantom(std::string_view mailbox, std::string_view correspondent,
                                std::string_view address) {
  const mapping::Member& owner = member(mailbox, address);
  const auto parsed = message::parse_address(correspondent).value();
  mapping::BeginRequest request;
  const std::string local = mapping::phantom_local(owner, parsed.canonical());
  request.phantoms.push_back({&owner, local, parsed.spelling});
  const std::string random = random_bytes(request.message.size());
  std::copy(random.begin(), random.end(), request.message.begin());
  run(loop, store_phantom(directory, routes, std::move(request)));
  return local + "@" + owner.address->domain->phantom_domain;
}

}  // namespace kage::submission::test
