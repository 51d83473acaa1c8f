// The TLS 1.3 record layer against a peer that has the right keys and says what a script tells it to, in any
// cuts. What comes out, and when it ends with what alert, is told by a model that knows what was sealed.
//
// Both sides use RecordKeys here; that these are what OpenSSL takes them for is for tests/tls to say.
#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/fuzz/fuzz.h"
#include "tls/record_layer.h"

namespace {

using kage::fuzz::require;
using namespace kage::tls;
using Step = Protection::Step;
using Role = RecordLayer::Role;

constexpr std::size_t kHeader = 5;
constexpr std::size_t kMaxContent = 16384;           // RFC 8446 §5.1
constexpr std::size_t kMaxBody = kMaxContent + 256;  // §5.2
constexpr std::size_t kRoom = 32768;
constexpr std::size_t kMaxWire = 100'000;  // octets that a script may make

// ContentType (§5.1), HandshakeType (§4) and AlertDescription (§6).
constexpr unsigned char kAlert = 21;
constexpr unsigned char kHandshake = 22;
constexpr unsigned char kData = 23;
constexpr unsigned char kNewSessionTicket = 4;
constexpr unsigned char kKeyUpdate = 24;
constexpr unsigned char kCloseNotify = 0;
constexpr unsigned char kUnexpectedMessage = 10;
constexpr unsigned char kBadRecordMac = 20;
constexpr unsigned char kRecordOverflow = 22;
constexpr unsigned char kIllegalParameter = 47;
constexpr unsigned char kDecodeError = 50;
constexpr unsigned char kUserCanceled = 90;

unsigned char octet(std::string_view text, std::size_t at) {
  return static_cast<unsigned char>(text[at]);
}

std::span<const unsigned char> octets(std::string_view text) {
  return {reinterpret_cast<const unsigned char*>(text.data()), text.size()};
}

std::size_t body_size(std::string_view record) {
  return static_cast<std::size_t>(octet(record, 3)) << 8U | octet(record, 4);
}

/// `size` octets that are not those of another position in the stream.
std::string pattern(std::size_t size, std::size_t position) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i)
    text[i] = static_cast<char>((position + i) * 7 + (position + i) / 251);
  return text;
}

std::string message(unsigned char type, std::string_view body) {
  std::string out{static_cast<char>(type), '\0', static_cast<char>(body.size() >> 8U),
                  static_cast<char>(body.size() & 0xffU)};
  return out.append(body);
}

/// Which record of which generation of keys.
struct Place {
  std::size_t generation = 0;
  std::uint64_t sequence = 0;
  auto operator<=>(const Place&) const = default;
};

struct Sealed {
  std::string record;
  std::string inner;  ///< TLSInnerPlaintext (§5.2)
};

struct Event {
  enum class Kind : std::uint8_t { feed, write, end, rest, drain };
  Kind kind;
  std::string octets;
};

/// What happens to a record layer, read from the fuzzer's input.
class Script {
 public:
  explicit Script(std::string_view source);

  [[nodiscard]] std::unique_ptr<RecordLayer> make() const {
    return std::make_unique<RecordLayer>(suite_, secrets_, role, progress_, records_a_key);
  }
  [[nodiscard]] RecordKeys opening() const {
    return {suite_, role == Role::server ? secrets_.server : secrets_.client, RecordKeys::Use::opening,
            progress_.sent};
  }
  [[nodiscard]] Place first() const { return {0, progress_.received}; }
  [[nodiscard]] const Sealed* at(const Place& place) const {
    const auto found = sealed_.find(place);
    return found == sealed_.end() ? nullptr : &found->second;
  }

  Role role;
  std::uint64_t records_a_key;
  std::size_t cut;  ///< octets, for the run in pieces
  std::vector<Event> events;
  std::size_t made = 0;  ///< octets

 private:
  std::size_t number(std::size_t size) {
    std::size_t value = 0;
    for (; size > 0 && !source_.empty(); --size) {
      value = value << 8U | octet(source_, 0);
      source_.remove_prefix(1);
    }
    return value;
  }
  std::string_view literal(std::size_t size) {
    const std::string_view text = source_.substr(0, size);
    source_.remove_prefix(text.size());
    return text;
  }
  void act(unsigned op, unsigned parameter);
  void seal(unsigned char type, std::string_view content, std::size_t padding = 0);
  void update() {
    require(sealing_->update(), "there are new keys");
    ++generation_;
  }
  void feed() {
    if (!wire_.empty()) events.push_back({Event::Kind::feed, std::exchange(wire_, {})});
  }

  std::string_view source_;
  const Suite& suite_;
  TrafficSecrets secrets_;
  RecordLayer::Progress progress_;
  std::optional<RecordKeys> sealing_;
  std::size_t generation_ = 0;
  std::map<Place, Sealed> sealed_;
  std::string wire_;  ///< was said, and not heard yet
  std::string last_;  ///< the last record
  std::size_t data_ = 0;
  std::size_t written_ = 0;
  bool loses_next_ = false;
};

const Suite& suite_of(std::size_t number) {
  static const std::array<const Suite*, 3> suites{find_suite(0x1301), find_suite(0x1302), find_suite(0x1303)};
  return *suites[number % suites.size()];
}

TrafficSecrets secrets_for(const Suite& suite) {
  TrafficSecrets secrets;
  const std::size_t size = &suite == find_suite(0x1302) ? 48 : 32;
  unsigned char next = 1;
  for (unsigned char& to : secrets.client.resize(size)) to = next++;
  for (unsigned char& to : secrets.server.resize(size)) to = next++;
  return secrets;
}

/// The first octets: role and suite; how many records went before, and how many a key protects; the cut.
Script::Script(std::string_view source)
    : role((octet(source, 0) & 1U) != 0 ? Role::client : Role::server),
      cut(1U + octet(source, 2)),
      source_(source.substr(3)),
      suite_(suite_of(octet(source, 0) >> 1U)),
      secrets_(secrets_for(suite_)) {
  constexpr std::array<std::uint64_t, 4> kBefore{0, 1, 254, 0xfffffffe};
  constexpr std::array<std::uint64_t, 4> kKey{RecordLayer::kRecordsAKey, 1, 2, 5};
  const unsigned which = octet(source, 1);
  progress_ = {kBefore[which % 4], kBefore[which / 4 % 4]};
  records_a_key = kKey[which / 16 % 4];
  sealing_.emplace(suite_, role == Role::server ? secrets_.client : secrets_.server, RecordKeys::Use::sealing,
                   progress_.received);
  while (!source_.empty() && made < kMaxWire) {
    const auto op = static_cast<unsigned>(number(1));
    act(op % 16, op / 16);
  }
  feed();
}

void Script::seal(unsigned char type, std::string_view content, std::size_t padding) {
  std::string inner(content);
  inner.push_back(static_cast<char>(type));
  inner.append(padding, '\0');
  const std::size_t body = inner.size() + RecordKeys::kTag;
  std::string record{kData, 3, 3, static_cast<char>(body >> 8U), static_cast<char>(body & 0xffU)};
  record.resize(kHeader + body);
  const Place place{generation_, sealing_->sequence()};
  require(sealing_->seal(octets(record).first(kHeader), std::string_view(inner).substr(0, inner.size() - 1),
                         octet(inner, inner.size() - 1),
                         reinterpret_cast<unsigned char*>(record.data()) + kHeader),
          "the peer can seal");
  made += record.size();
  if (!std::exchange(loses_next_, false)) wire_ += record;
  last_ = record;
  sealed_.emplace(place, Sealed{std::move(record), std::move(inner)});
}

void Script::act(unsigned op, unsigned parameter) {
  switch (op) {
    case 0: {  // data
      const std::string data = pattern(number(parameter < 8 ? 1 : 2) % (kMaxContent + 1), data_);
      data_ += data.size();
      return seal(kData, data, parameter % 8);
    }
    case 1: {  // anything of any type
      const auto type = static_cast<unsigned char>(number(1));
      const std::size_t size = number(1);
      return seal(type, literal(size), parameter);
    }
    case 2: {  // something long of any type, or with much padding
      const auto type = static_cast<unsigned char>(number(1));
      const std::size_t size = number(2) % 17'000;
      const std::string text = pattern(parameter % 2 == 0 ? size : 3, data_);
      if (type == kData) data_ += text.size();
      return seal(type, text, parameter % 2 == 0 ? 0 : size);
    }
    case 3: {  // a key update, behind a ticket perhaps; the peer may forget to do as it says
      const std::string ticket = (parameter & 2U) != 0 ? message(kNewSessionTicket, "ticket") : "";
      const std::string request(1, (parameter & 1U) != 0 ? '\1' : '\0');
      seal(kHandshake, ticket + message(kKeyUpdate, request), parameter / 8);
      if ((parameter & 4U) == 0) update();
      return;
    }
    case 4:  // new keys without a word
      return update();
    case 5: {  // tickets, in pieces
      const std::size_t size = number(parameter < 8 ? 1 : 2) % 40'000;
      const std::size_t piece = number(1);
      std::string tickets;
      for (unsigned i = 0; i <= parameter % 4; ++i) tickets += message(kNewSessionTicket, pattern(size, i));
      const std::size_t most = piece == 0 ? kMaxContent : piece < 128 ? piece : (piece - 127) * 128;
      for (std::size_t at = 0; at < tickets.size() && made < kMaxWire; at += most)
        seal(kHandshake, std::string_view(tickets).substr(at, most));
      return;
    }
    case 6: {
      const std::array<char, 2> alert{static_cast<char>(parameter), static_cast<char>(number(1))};
      return seal(kAlert, {alert.data(), alert.size()});
    }
    case 7: {  // octets of somebody without keys
      const std::string_view text = literal(number(1));
      made += text.size();
      wire_ += text;
      return;
    }
    case 8: {  // a change on the way
      const std::size_t back = number(2);
      const std::size_t bits = number(1);
      if (back < wire_.size()) {
        char& changed = wire_[wire_.size() - 1 - back];
        changed = static_cast<char>(static_cast<unsigned char>(changed) ^ bits);
      }
      return;
    }
    case 9:  // octets are lost
      wire_.resize(wire_.size() - std::min(wire_.size(), number(1)));
      return;
    case 10:  // the last record once more
      made += last_.size();
      wire_ += last_;
      return;
    case 11:  // the next record is lost
      loses_next_ = true;
      return;
    case 12:
      return feed();
    case 13: {
      feed();
      std::string data = pattern(number(parameter < 8 ? 1 : 2) % 50'000, written_);
      written_ += data.size();
      made += data.size();
      events.push_back({Event::Kind::write, std::move(data)});
      return;
    }
    case 14: {
      feed();
      constexpr std::array<Event::Kind, 3> kKinds{Event::Kind::drain, Event::Kind::rest, Event::Kind::end};
      events.push_back({kKinds[parameter % kKinds.size()], {}});
      return;
    }
    default:  // many records without data
      for (std::size_t count = number(1) % 40; count > 0; --count) {
        if (parameter == 0) {
          seal(kData, "");
        } else if (parameter % 2 == 0) {
          seal(kAlert, {"\1\x5a", 2});
        } else {
          seal(kHandshake, message(kKeyUpdate, std::string(1, parameter % 4 == 1 ? '\1' : '\0')));
          update();
        }
      }
  }
}

/// What has to come of the octets that come.
class Model {
 public:
  explicit Model(const Script& script) : script_(script), place_(script.first()) {}

  enum class State : std::uint8_t { open, ended, failed };

  /// The data that `more` completes.
  std::string take(std::string_view more) {
    stream_ += more;
    data_.clear();
    while (state == State::open && take_record()) {
    }
    return std::exchange(data_, {});
  }

  State state = State::open;
  std::optional<unsigned char> alert;  ///< what the peer is told of the failure
  bool owes_update = false;            ///< the peer asked for new keys

 private:
  bool fail(std::optional<unsigned char> why) {
    alert = why;
    state = State::failed;
    return false;
  }
  bool take_record();
  bool take_inner(std::string_view inner);
  bool take_alert(std::string_view content);
  bool take_handshake(std::string_view content);

  const Script& script_;
  Place place_;
  std::string stream_;
  std::size_t at_ = 0;
  std::string data_;
  std::string message_;  ///< a ticket's beginning
  unsigned without_data_ = 0;
};

bool Model::take_record() {
  const auto rest = std::string_view(stream_).substr(at_);
  if (rest.size() < kHeader) return false;
  if (octet(rest, 0) != kData) return fail(kUnexpectedMessage);
  if (body_size(rest) > kMaxBody) return fail(kRecordOverflow);
  if (body_size(rest) <= RecordKeys::kTag) return fail(kDecodeError);
  const std::size_t whole = kHeader + body_size(rest);
  if (rest.size() < whole) return false;
  const Sealed* const sealed = script_.at(place_);
  if (sealed == nullptr || sealed->record != rest.substr(0, whole)) return fail(kBadRecordMac);
  ++place_.sequence;
  at_ += whole;
  return take_inner(sealed->inner);
}

bool Model::take_inner(std::string_view inner) {
  const std::size_t end = inner.find_last_not_of('\0');
  if (end == std::string_view::npos) return fail(kUnexpectedMessage);
  const unsigned char type = octet(inner, end);
  const std::string_view content = inner.substr(0, end);
  if (content.size() > kMaxContent) return fail(kRecordOverflow);
  if (!message_.empty() && type != kHandshake) return fail(kUnexpectedMessage);
  if (type == kData && !content.empty()) {
    without_data_ = 0;
    data_ += content;
    return true;
  }
  if (++without_data_ > 32) return fail(kUnexpectedMessage);
  switch (type) {
    case kData:
      return true;
    case kAlert:
      return take_alert(content);
    case kHandshake:
      return take_handshake(content);
    default:
      return fail(kUnexpectedMessage);
  }
}

bool Model::take_alert(std::string_view content) {
  if (content.size() != 2) return fail(content.empty() ? kUnexpectedMessage : kDecodeError);
  if (octet(content, 1) == kUserCanceled) return true;
  if (octet(content, 1) != kCloseNotify) return fail(std::nullopt);
  state = State::ended;
  return false;
}

bool Model::take_handshake(std::string_view content) {
  if (content.empty()) return fail(kUnexpectedMessage);  // RFC 8446 §5.4
  const std::size_t before = message_.size();
  message_ += content;
  std::string_view rest = message_;
  while (!rest.empty()) {
    // Nobody cuts a message within its header.
    if (rest.size() < 4) return fail(kUnexpectedMessage);
    const std::size_t size = static_cast<std::size_t>(octet(rest, 1)) << 16U |
                             static_cast<std::size_t>(octet(rest, 2)) << 8U | octet(rest, 3);
    if (octet(rest, 0) == kNewSessionTicket && script_.role == Role::client) {
      if (rest.size() < 4 + size) break;
      rest.remove_prefix(4 + size);
      continue;
    }
    // The keys change with the record (§5.1).
    if (octet(rest, 0) != kKeyUpdate || size != 1 || rest.size() != 5) return fail(kUnexpectedMessage);
    require(message_.size() - rest.size() >= before, "only tickets come in pieces");
    if (octet(rest, 4) > 1) return fail(kIllegalParameter);
    owes_update = owes_update || octet(rest, 4) == 1;
    place_ = {place_.generation + 1, 0};
    rest = {};
  }
  message_ = std::string(rest);
  return true;
}

/// A record layer that does what a script says.
class Run {
 public:
  Run(const Script& script, std::size_t cut)
      : script_(script), cut_(cut), model_(script), ours_(script.make()), opening_(script.opening()) {
    for (const Event& event : script.events) act(event);
  }

  std::string heard;
  Step step = Step::more;
  [[nodiscard]] const std::string& reason() const { return ours_->reason(); }

 private:
  struct Inner {
    unsigned char type;
    std::string content;
    std::uint64_t sequence;
  };

  void act(const Event& event);
  void hear(std::string_view piece);
  void check_open(std::string_view before, std::size_t size, bool may_answer);
  void write(std::string_view data);
  std::vector<Inner> new_records();
  /// On the heap, where the sanitizer sees its end.
  static char* room() {
    static const auto octets = std::make_unique<char[]>(kRoom);
    return octets.get();
  }
  [[nodiscard]] bool is_over() const { return ended_ || model_.state == Model::State::failed; }

  const Script& script_;
  std::size_t cut_;
  Model model_;
  std::unique_ptr<RecordLayer> ours_;
  RecordKeys opening_;
  CipherText text_;
  std::size_t opened_ = 0;  ///< octets of the output
  bool ended_ = false;
};

void Run::act(const Event& event) {
  switch (event.kind) {
    case Event::Kind::feed:
      for (std::size_t at = 0; at < event.octets.size(); at += cut_)
        hear(std::string_view(event.octets).substr(at, cut_));
      return;
    case Event::Kind::write:
      return write(event.octets);
    case Event::Kind::end: {
      const bool tells = !std::exchange(ended_, true) && model_.state != Model::State::failed;
      ours_->end(text_);
      const auto said = new_records();
      require(said.size() == (tells ? 1 : 0), "close_notify is said once");
      if (tells)
        require(said[0].type == kAlert && said[0].content == std::string("\1\0", 2), "it is close_notify");
      return;
    }
    case Event::Kind::rest:
      ours_->rest();
      return;
    case Event::Kind::drain:
      text_.output.clear();
      opened_ = 0;
  }
}

void Run::hear(std::string_view piece) {
  // Where it ends is seen by the sanitizer.
  const auto copy = std::make_unique<char[]>(piece.size());
  std::ranges::copy(piece, copy.get());
  text_.input = {copy.get(), piece.size()};
  do {
    const std::string_view before = text_.input;
    const bool may_answer = text_.output.empty();
    std::size_t size = 0;
    step = ours_->open(text_, {room(), kRoom}, size);
    check_open(before, size, may_answer);
  } while (step == Step::full);
  text_.input = {};
}

void Run::check_open(std::string_view before, std::size_t size, bool may_answer) {
  const bool failed_before = model_.state == Model::State::failed;
  const bool full = step == Step::full;
  const std::string expected =
      model_.take(full ? before.substr(0, before.size() - text_.input.size()) : before);
  require(size <= kRoom, "it keeps to its room");
  const std::string_view got(room(), size);
  require(got == expected, "what the peer protected comes out, and nothing else");
  heard += got;
  if (full) {
    require(!text_.input.empty() && size + kHeader + kMaxBody > kRoom, "there is no room for a record");
    require(model_.state == Model::State::open, "nothing ended it");
  } else {
    constexpr std::array<Step, 3> kSteps{Step::more, Step::ended, Step::failed};
    require(step == kSteps[static_cast<std::size_t>(model_.state)], "it ends where it has to");
  }
  if (step == Step::more) require(text_.input.empty() && !ours_->holds_data(), "all is opened that can be");
  require(ours_->failed() == (model_.state == Model::State::failed), "it tells of a failure");

  const auto said = new_records();
  const bool fails = model_.state == Model::State::failed;
  if (fails && !failed_before && !ended_ && model_.alert) {
    require(said.size() == 1 && said[0].type == kAlert &&
                said[0].content == std::string{2, static_cast<char>(*model_.alert)},
            "the peer is told why");
  } else if (model_.owes_update && may_answer && !is_over()) {
    require(said.size() == 1 && said[0].type == kHandshake, "new keys are answered with new keys");
    model_.owes_update = false;
  } else {
    require(said.empty(), "nothing is said without reason");
  }
}

void Run::write(std::string_view data) {
  const bool written = ours_->seal(text_, data);
  require(written != is_over(), "it writes until it ends");
  const auto said = new_records();
  std::string sent;
  for (const Inner& record : said) {
    if (record.type == kHandshake) {
      const bool due = record.sequence >= script_.records_a_key;
      require(std::exchange(model_.owes_update, false) || due, "new keys have a reason");
      continue;
    }
    require(record.type == kData && !record.content.empty(), "it is data");
    require(!model_.owes_update, "new keys come before data (RFC 8446 section 4.6.3)");
    require(record.sequence < script_.records_a_key, "a key protects so many records");
    sent += record.content;
  }
  require(sent == (written ? data : std::string_view()), "the peer gets what is written");
}

/// What the peer opens of the output since the last time.
std::vector<Run::Inner> Run::new_records() {
  std::vector<Inner> records;
  auto rest = std::string_view(text_.output).substr(opened_);
  opened_ = text_.output.size();
  while (!rest.empty()) {
    require(rest.size() >= kHeader && rest.starts_with("\x17\3\3"), "it is a record");
    const std::size_t body = body_size(rest);
    require(body > RecordKeys::kTag && body <= kMaxBody && rest.size() >= kHeader + body, "it is whole");
    std::string content(body - RecordKeys::kTag, '\0');
    const std::uint64_t sequence = opening_.sequence();
    require(opening_.open(octets(rest).first(kHeader), rest.substr(kHeader, body),
                          reinterpret_cast<unsigned char*>(content.data())),
            "the peer can open it");
    const auto type = static_cast<unsigned char>(content.back());
    content.pop_back();
    require(content.size() <= kMaxContent, "it is no longer than a record may be");
    if (type == kHandshake) {
      require(content == message(kKeyUpdate, std::string(1, '\0')), "it is a KeyUpdate that asks for none");
      require(opening_.update(), "the peer has new keys");
    }
    records.push_back({type, std::move(content), sequence});
    rest.remove_prefix(kHeader + body);
  }
  return records;
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 4 || size > 8192) return 0;
  const Script script(kage::fuzz::text_of(data, size));
  const Run whole(script, kMaxWire * 4);
  // Octet by octet, unless that takes too long.
  const std::size_t least = script.made / 2048;
  for (const std::size_t cut : {1 + least, script.cut + least}) {
    const Run pieces(script, cut);
    require(pieces.heard == whole.heard && pieces.step == whole.step && pieces.reason() == whole.reason(),
            "cuts make no difference");
  }
  return 0;
}
