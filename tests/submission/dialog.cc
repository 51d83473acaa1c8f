#include "dialog.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "../net/test_streams.h"
#include "base/sasl.h"
#include "base/text.h"
#include "tls/tls_stream.h"

namespace kage::submission::test {
namespace {

struct Line {
  std::size_t number = 0;
  std::string text;
};

std::string unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      out.push_back(text[i]);
      continue;
    }
    const char c = text[++i];
    if (c == 'x') {
      out.push_back(static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16)));
      i += 2;
      continue;
    }
    out.push_back(c == 'r' ? '\r' : c == 'n' ? '\n' : c == 't' ? '\t' : c == '0' ? '\0' : c);
  }
  return out;
}

bool matches(std::string_view line, std::string_view pattern) {
  if (pattern.ends_with('*')) return line.starts_with(pattern.substr(0, pattern.size() - 1));
  return line == pattern;
}

/// "*N" behind the first letter, or 1.
std::size_t repeat_of(std::string_view text) {
  if (!text.substr(1).starts_with('*')) return 1;
  return static_cast<std::size_t>(parse_number(text.substr(2, text.find(':') - 2)).value());
}

std::string_view after_colon(std::string_view text) {
  text.remove_prefix(text.find(':') + 1);
  if (text.starts_with(' ')) text.remove_prefix(1);
  return text;
}

class Player {
 public:
  Player(const std::string& file, bool trickle) : trickle_(trickle) {
    std::ifstream in(file);
    std::string text;
    for (std::size_t number = 1; std::getline(in, text); ++number) {
      if (!text.empty() && text[0] != '#') lines_.push_back({number, text});
    }
    settings_ = {
        {"max_recipients", [this](std::size_t n) { rig_.options.max_recipients = n; }},
        {"max_errors", [this](std::size_t n) { rig_.options.max_errors = n; }},
        {"max_message_size", [this](std::size_t n) { rig_.options.max_message_size = n; }},
        {"max_header_size", [this](std::size_t n) { rig_.options.max_header_size = n; }},
        {"max_hops", [this](std::size_t n) { rig_.options.max_hops = n; }},
        {"require_tls", [this](std::size_t n) { rig_.options.require_tls = n != 0; }},
        {"no_tls", [this](std::size_t) { rig_.tls = nullptr; }},
        {"command_timeout", [this](std::size_t n) { rig_.options.command_timeout = net::Millis(n); }},
        {"data_timeout", [this](std::size_t n) { rig_.options.data_timeout = net::Millis(n); }}};
  }

  std::string play() {
    prepare();
    stream_ = rig_.connect(face_, peer_);
    stream_->set_timeout(net::Millis(60'000));
    reader_.emplace(*stream_);
    net::testing::run_on_loop(rig_.loop, go());
    stream_->close();
    return problem_;
  }

 private:
  void prepare() {
    while (at_ < lines_.size()) {
      const std::string& text = lines_[at_].text;
      const std::string_view value = after_colon(text);
      if (text.starts_with("face:")) {
        face_ = value == "inbound"      ? Face::inbound
                : value == "submission" ? Face::submission
                                        : Face::submissions;
      } else if (text.starts_with("peer:")) {
        peer_ = value;
      } else if (text.starts_with("front:")) {
        rig_.options.fronts.push_back(net::Network::parse(value).value());
        rig_.options.authserv_ids = {"front.example"};
      } else if (text.starts_with("proxy:")) {
        rig_.options.proxy_peers.push_back(net::Network::parse(value).value());
      } else if (text.starts_with("set:")) {
        const std::size_t space = value.find(' ');
        settings_.at(std::string(value.substr(0, space)))(
            static_cast<std::size_t>(parse_number(value.substr(space + 1)).value()));
      } else {
        break;
      }
      ++at_;
    }
    for (Line& line : lines_) line.text = substitute(line.text);
  }

  std::string substitute(std::string text) {
    for (std::size_t at = text.find("${"); at != std::string::npos; at = text.find("${", at)) {
      const std::size_t end = text.find('}', at);
      std::istringstream words(text.substr(at + 2, end - at - 2));
      std::string what, first, second;
      words >> what >> first;
      std::getline(words >> std::ws, second);
      std::string value;
      if (what == "phantom") value = rig_.phantom(first, second);
      if (what == "plain") value = base64(make_plain(first, second));
      if (what == "base64") value = base64(second.empty() ? first : first + " " + second);
      text.replace(at, end + 1 - at, value);
    }
    return text;
  }

  net::Task<void> go() {
    while (at_ < lines_.size() && problem_.empty()) {
      const std::string& text = lines_[at_].text;
      if (text.starts_with("C")) {
        start_writing(gather());
        continue;
      }
      if (text.starts_with("S")) {
        for (std::size_t i = repeat_of(text); i > 0 && problem_.empty(); --i)
          co_await expect(after_colon(text));
      } else if (text == "EOF") {
        co_await expect_end();
      } else if (text == "TLS") {
        co_await shake_hands();
      } else if (text.starts_with("DELIVERED:")) {
        check(std::to_string(rig_.sink->messages.size()), after_colon(text));
      } else if (text.starts_with("LAST:") || text.starts_with("NOT:")) {
        const bool there = !rig_.sink->messages.empty() &&
                           rig_.sink->messages.back().data.find(after_colon(text)) != std::string::npos;
        if (there != text.starts_with("LAST:")) {
          wrong(rig_.sink->messages.empty() ? "no message" : rig_.sink->messages.back().data);
        }
      } else {
        wrong("unknown instruction");
      }
      ++at_;
    }
    co_await written_;
  }

  std::string gather() {
    std::string out;
    for (; at_ < lines_.size() && lines_[at_].text.starts_with("C"); ++at_) {
      const std::string& text = lines_[at_].text;
      if (text[1] == '<') {
        out += unescape(std::string_view(text).substr(2, text.size() - 3));
        continue;
      }
      const std::size_t times = repeat_of(text);
      for (std::size_t i = 1; i <= times; ++i) {
        std::string line(after_colon(text));
        if (const std::size_t place = line.find("%d"); place != std::string::npos && times > 1) {
          line.replace(place, 2, std::to_string(i));
        }
        out += line + "\r\n";
      }
    }
    return out;
  }

  /// Beside the reading: a client that only writes would wait for a server that waits for it.
  void start_writing(std::string octets) {
    to_write_ += octets;
    if (writing_) return;
    writing_ = true;
    written_.reset();
    net::spawn(write_all());
  }

  net::Task<void> write_all() {
    while (!to_write_.empty()) {
      const std::string now = std::exchange(to_write_, {});
      const std::size_t step = trickle_ && now.size() < 4096 ? 1 : now.size();
      for (std::size_t i = 0; i < now.size(); i += step) {
        if (!co_await stream_->write(std::string_view(now).substr(i, step))) break;
        // The server reads each before the next comes.
        if (step == 1) co_await turn();
      }
    }
    writing_ = false;
    written_.set();
  }

  net::Task<void> turn() { co_await rig_.loop.sleep(net::Millis(0)); }

  net::Task<void> expect(std::string_view pattern) {
    const auto line = co_await reader_->line(1 << 20);
    if (!line) {
      wrong("end or error: " + std::string(to_string(line.error().code)));
    } else if (!matches(*line, pattern)) {
      wrong(std::string(*line));
    }
  }

  net::Task<void> expect_end() {
    const auto rest = co_await reader_->chunk();
    if (rest && !rest->empty()) wrong("more octets: " + std::string(*rest));
    if (!rest && rest.error().code == Errc::timed_out) wrong("still open");
  }

  net::Task<void> shake_hands() {
    co_await written_;
    tls::ClientOptions options;
    options.verify = false;
    auto context = tls::ClientContext::create(options).value();
    auto secured = co_await tls::connect_tls(std::move(stream_), std::move(context), "mx.school.example",
                                             rig_.loop.now() + net::Millis(30'000));
    if (!secured) {
      problem_ = "handshake failed: " + std::string(to_string(secured.error().code));
      stream_ = net::testing::make_stalling_stream(rig_.loop);
    } else {
      stream_ = std::move(*secured);
    }
    reader_.emplace(*stream_);
  }

  void check(const std::string& found, std::string_view wanted) {
    if (found != wanted) wrong(found);
  }
  void wrong(const std::string& found) {
    const Line& line = lines_[at_];
    problem_ = "line " + std::to_string(line.number) + ": " + line.text + "\nfound: " + found;
  }

  SessionRig rig_;
  std::vector<Line> lines_;
  std::map<std::string, std::function<void(std::size_t)>> settings_;
  std::size_t at_ = 0;
  bool trickle_;
  Face face_ = Face::inbound;
  std::string peer_ = "192.0.2.1";
  net::StreamPtr stream_;
  std::optional<net::BufferedReader> reader_;
  std::string to_write_;
  bool writing_ = false;
  net::Event written_;
  std::string problem_;

 public:
  void begin() { written_.set(); }
};

std::string play_once(const std::string& file, bool trickle) {
  const auto player = std::make_unique<Player>(file, trickle);
  player->begin();
  return player->play();
}

}  // namespace

std::string play(const std::string& file) {
  return play_once(file, false);
}

std::string play_trickling(const std::string& file) {
  return play_once(file, true);
}

std::vector<std::string> dialog_files() {
  std::vector<std::string> out;
  for (const auto& entry :
       std::filesystem::directory_iterator(KAGEMUSHA_SOURCE_DIR "/tests/submission/dialogs")) {
    if (entry.path().extension() == ".txt") out.push_back(entry.path().string());
  }
  std::ranges::sort(out);
  return out;
}

}  // namespace kage::submission::test
