// A canned IMAP server for scripts/bench proxy: libuv, one thread, answers from memory, nothing of ours.
// Loopback only; never part of the program.
//
//   imap_upstream PORT SENDERS
//
// Its mailboxes say what they hold: "S100.10240" has 100 messages of 10,240 octets each, from SENDERS
// different correspondents. UIDs are sequence numbers. What it does not know it refuses, so that nothing is
// measured that was not answered.
#include <fmt/format.h>
#include <netinet/in.h>
#include <uv.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

[[noreturn]] void fail(std::string_view what) {
  fmt::print(stderr, "imap_upstream: {}\n", what);
  std::exit(1);
}

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// What the upstream holds. `@S`, `@O` and `@N` stand for numbers of a fixed width: the sender, another
// correspondent, the message. So all messages of a mailbox have the same size.

// As a large provider delivers a message of a school's gateway-less mail: trace, ARC, two signatures.
constexpr std::string_view kHeader =
    "Delivered-To: bench@provider.test\r\n"
    "Received: by 2002:a05:7108:6c8d:b0:3e5:8f21:1c9a with SMTP id @N;\r\n"
    "        Wed, 31 Dec 2025 17:51:09 -0800 (PST)\r\n"
    "X-Google-Smtp-Source: AGHT+IE4Kx0N2h1oYqk6mG0r9y7Pz3TTJH3k5mQf0vVq8sJm2bq0b3o6CkXtYFy0sYcR8hZl2oEw\r\n"
    "X-Received: by 2002:a17:903:1a2b:b0:297:d6c2:d06 with SMTP id @N-d9443c01a7336mr;\r\n"
    "        Wed, 31 Dec 2025 17:51:08 -0800 (PST)\r\n"
    "ARC-Seal: i=1; a=rsa-sha256; t=1767232268; cv=none;\r\n"
    "        d=provider.test; s=arc-20240605;\r\n"
    "        b=Zk3v0o9QmF1l7mYc2kq1H5x4fSx0dO2uWcYpXvO8h0kq6dJb3nX1t2m9b7C4y5w8Rr\r\n"
    "         Q0dZx7h3Jm1l5tP9vKfWbN2sUoGcEiLyAaXr4MzBnVqTtYpWkHjS6uD8gF0lIeOxCvRb\r\n"
    "         m3n5b7v9c1x3z5l7k9j1h3g5f7d9s1a3p5o7i9u1y3t5r7e9w1q3Z5X7C9V1B3N5M7L9\r\n"
    "ARC-Message-Signature: i=1; a=rsa-sha256; c=relaxed/relaxed; d=provider.test; s=arc-20240605;\r\n"
    "        h=to:subject:message-id:date:from:mime-version:dkim-signature;\r\n"
    "        bh=wcG6qQDED7uVgsizSifQBEZVv3YQnjo32VmWOLVWfCc=;\r\n"
    "        fh=3Gv0a1J7bq9r5Yk2h8Xc4Tn6Lm0pWsZdEfRgUiOoAaQ=;\r\n"
    "        b=kV9bN3mX7cZ1lK5jH8gF2dS4aP6oI0uY9tR7eW1qQ3wE5rT7yU9iO1pA3sD5fG7hJ9\r\n"
    "         kL1zX3cV5bN7mM9qW1eR3tY5uI7oP9aS1dF3gH5jK7lZ9xC1vB3nM5qW7eR9tY1uI3oP\r\n"
    "         5aS7dF9gH1jK3lZ5xC7vB9nM1qW3eR5tY7uI9oP1aS3dF5gH7jK9lZ1xC3vB5nM7qW9e\r\n"
    "ARC-Authentication-Results: i=1; mx.provider.test;\r\n"
    "       dkim=pass header.i=@stranger.test header.s=sel1 header.b=mGTXVdgU;\r\n"
    "       spf=pass (provider.test: domain of sender@S@stranger.test designates 192.0.2.25 as permitted "
    "sender) smtp.mailfrom=sender@S@stranger.test;\r\n"
    "       dmarc=pass (p=QUARANTINE sp=QUARANTINE dis=NONE) header.from=stranger.test\r\n"
    "Return-Path: <sender@S@stranger.test>\r\n"
    "Received: from mx.stranger.test (mx.stranger.test. [192.0.2.25])\r\n"
    "        by mx.provider.test with ESMTPS id d9443c01a7336-@N\r\n"
    "        for <bench@provider.test>\r\n"
    "        (version=TLS1_3 cipher=TLS_AES_256_GCM_SHA384 bits=256/256);\r\n"
    "        Wed, 31 Dec 2025 17:51:07 -0800 (PST)\r\n"
    "Received-SPF: pass (provider.test: domain of sender@S@stranger.test designates 192.0.2.25 as permitted "
    "sender) client-ip=192.0.2.25;\r\n"
    "Authentication-Results: mx.provider.test;\r\n"
    "       dkim=pass header.i=@stranger.test header.s=sel1 header.b=mGTXVdgU;\r\n"
    "       spf=pass (provider.test: domain of sender@S@stranger.test designates 192.0.2.25 as permitted "
    "sender) smtp.mailfrom=sender@S@stranger.test;\r\n"
    "       dmarc=pass (p=QUARANTINE sp=QUARANTINE dis=NONE) header.from=stranger.test\r\n"
    "Received: from client.stranger.test (client.stranger.test [192.0.2.10])\r\n"
    "        by mx.stranger.test (Postfix) with ESMTPSA id 4Zk2Jq1xYzz@N\r\n"
    "        for <pta@school.example>; Thu,  1 Jan 2026 10:51:05 +0900 (JST)\r\n"
    "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=stranger.test; s=sel1;\r\n"
    "        t=1767232265; h=from:from:reply-to:subject:subject:date:date:message-id:\r\n"
    "         message-id:to:to:cc:cc:mime-version:mime-version:content-type;\r\n"
    "        bh=wcG6qQDED7uVgsizSifQBEZVv3YQnjo32VmWOLVWfCc=;\r\n"
    "        b=mGTXVdgUUh5kS3Ix6uL7ecI7Wf5dsofOKfo2ndum06j33ma+OS2gRB3AZcP9HC0UYV5hK7\r\n"
    "         gvPg3iTCDAtD3i8cH4b5n6v7m8c9x0z1l2k3j4h5g6f7d8s9a0p1o2i3u4y5t6r7e8w9q0\r\n"
    "From: =?utf-8?B?5bGx55Sw5aSq6YOO?= <sender@S@stranger.test>\r\n"
    "To: PTA <pta@school.example>\r\n"
    "Cc: Somebody Else <other@O@elsewhere.test>\r\n"
    "Subject: =?utf-8?B?5pel5puc44Gu5b6F44Gh5ZCI44KP44Gb?= @N\r\n"
    "Date: Thu, 01 Jan 2026 10:51:00 +0900\r\n"
    "Message-ID: <@N.20260101105100.1A2B3C@stranger.test>\r\n"
    "In-Reply-To: <@N.20251231.reply@school.example>\r\n"
    "References: <@N.20251230.first@stranger.test>\r\n"
    " <@N.20251231.reply@school.example>\r\n"
    "MIME-Version: 1.0\r\n"
    "Content-Type: text/plain; charset=utf-8\r\n"
    "Content-Transfer-Encoding: 8bit\r\n"
    "X-Mailer: Example Mailer 1.0\r\n"
    "\r\n";
constexpr std::string_view kEnvelope =
    "(\"Thu, 01 Jan 2026 10:51:00 +0900\" \"=?utf-8?B?5pel5puc44Gu5b6F44Gh5ZCI44KP44Gb?= @N\" "
    "((\"=?utf-8?B?5bGx55Sw5aSq6YOO?=\" NIL \"sender@S\" \"stranger.test\")) "
    "((\"=?utf-8?B?5bGx55Sw5aSq6YOO?=\" NIL \"sender@S\" \"stranger.test\")) "
    "((\"=?utf-8?B?5bGx55Sw5aSq6YOO?=\" NIL \"sender@S\" \"stranger.test\")) "
    "((\"PTA\" NIL \"pta\" \"school.example\")) ((\"Somebody Else\" NIL \"other@O\" \"elsewhere.test\")) NIL "
    "\"<@N.20251231.reply@school.example>\" \"<@N.20260101105100.1A2B3C@stranger.test>\")";
constexpr std::string_view kLine = "A line of an ordinary message, which is about as long as lines are.\r\n";

/// Text with numbers of a fixed width in it.
class Template {
 public:
  explicit Template(std::string_view text) {
    for (std::size_t i = 0; i < text.size(); ++i) {
      const char kind = i + 1 < text.size() ? text[i + 1] : '\0';
      if (text[i] == '@' && (kind == 'S' || kind == 'O' || kind == 'N')) {
        places_.push_back({text_.size(), kind});
        text_ += "0000000";
        ++i;
      } else {
        text_ += text[i];
      }
    }
  }
  [[nodiscard]] std::size_t size() const { return text_.size(); }

  void append(std::string& out, std::size_t sender, std::size_t message) const {
    const std::size_t begin = out.size();
    out += text_;
    for (const auto& [at, kind] : places_) {
      std::size_t number = kind == 'N' ? message : kind == 'S' ? sender : sender / 2;
      for (std::size_t i = 7; i-- > 0; number /= 10)
        out[begin + at + i] = static_cast<char>('0' + number % 10);
    }
  }

 private:
  std::string text_;
  std::vector<std::pair<std::size_t, char>> places_;
};

const Template header_template{kHeader};
const Template envelope_template{kEnvelope};
std::size_t senders = 5000;
std::string body_text;  // of the largest message; others are its beginning

std::string upper(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
  return out;
}

/// The fields of the header that "(FROM TO)" names, and the empty line.
std::string header_fields(std::string_view names) {
  const std::string wanted = " " + std::string(names.substr(1, names.size() - 2)) + " ";
  std::string out;
  bool taken = false;
  for (std::string_view rest = kHeader; !rest.empty();) {
    const std::string_view line = rest.substr(0, rest.find('\n') + 1);
    rest.remove_prefix(line.size());
    if (line.front() != ' ')
      taken = line == "\r\n" || wanted.contains(" " + upper(line.substr(0, line.find(':'))) + " ");
    if (taken) out += line;
  }
  return out;
}

/// One item of FETCH, parsed once for all messages.
struct Item {
  enum class Kind : std::uint8_t { uid, flags, date, size, envelope, structure, section, fields } kind;
  std::string label{};  // of a section
  bool header = false, body = false;
  Template fields{""};
};

std::optional<Item> fetch_item(std::string name) {
  if (name == "UID") return Item{.kind = Item::Kind::uid};
  if (name == "FLAGS") return Item{.kind = Item::Kind::flags};
  if (name == "INTERNALDATE") return Item{.kind = Item::Kind::date};
  if (name == "RFC822.SIZE") return Item{.kind = Item::Kind::size};
  if (name == "ENVELOPE") return Item{.kind = Item::Kind::envelope};
  if (name == "BODYSTRUCTURE") return Item{.kind = Item::Kind::structure};
  if (name.starts_with("BODY.PEEK[")) name.erase(4, 5);
  if (name.starts_with("BODY[HEADER.FIELDS (") && name.ends_with(")]")) {
    const std::size_t open = name.find('(');
    return Item{
        .kind = Item::Kind::fields,
        .label = name,
        .fields = Template(header_fields(std::string_view(name).substr(open, name.size() - open - 1)))};
  }
  if (name == "BODY[]") return Item{.kind = Item::Kind::section, .label = name, .header = true, .body = true};
  if (name == "BODY[HEADER]") return Item{.kind = Item::Kind::section, .label = name, .header = true};
  if (name == "BODY[TEXT]") return Item{.kind = Item::Kind::section, .label = name, .body = true};
  return std::nullopt;
}

struct Mailbox {
  std::size_t count = 0, size = 0;
};

/// A FETCH whose answer is not written yet.
struct Fetch {
  std::vector<Item> items;
  std::vector<std::pair<std::size_t, std::size_t>> ranges;
  std::size_t range = 0, next = 0;
  std::string tag;

  /// Appends answers until there is enough for one write; true when all is said.
  bool go_on(std::string& out, const Mailbox& mailbox) {
    while (range < ranges.size()) {
      if (out.size() > 256 * 1024) return false;
      append(out, mailbox, next);
      if (next++ < ranges[range].second) continue;
      if (++range < ranges.size()) next = ranges[range].first;
    }
    out += tag + " OK done\r\n";
    return true;
  }

  void append(std::string& out, const Mailbox& mailbox, std::size_t number) const {
    const std::size_t sender = number * 7919 % senders;
    const std::size_t body = mailbox.size - header_template.size();
    const auto end = std::back_inserter(out);
    fmt::format_to(end, "* {} FETCH (", number);
    for (const Item& item : items) {
      if (&item != items.data()) out += ' ';
      switch (item.kind) {
        case Item::Kind::uid:
          fmt::format_to(end, "UID {}", number);
          break;
        case Item::Kind::flags:
          out += "FLAGS (\\Seen)";
          break;
        case Item::Kind::date:
          out += "INTERNALDATE \"01-Jan-2026 10:51:09 +0900\"";
          break;
        case Item::Kind::size:
          fmt::format_to(end, "RFC822.SIZE {}", mailbox.size);
          break;
        case Item::Kind::envelope:
          out += "ENVELOPE ";
          envelope_template.append(out, sender, number);
          break;
        case Item::Kind::structure:
          fmt::format_to(
              end,
              "BODYSTRUCTURE (\"text\" \"plain\" (\"charset\" \"utf-8\") NIL NIL \"8bit\" {} {} NIL NIL "
              "NIL NIL)",
              body, body / kLine.size());
          break;
        case Item::Kind::section:
          fmt::format_to(end, "{} {{{}}}\r\n", item.label,
                         (item.header ? header_template.size() : 0) + (item.body ? body : 0));
          if (item.header) header_template.append(out, sender, number);
          if (item.body) out.append(body_text, 0, body);
          break;
        case Item::Kind::fields:
          fmt::format_to(end, "{} {{{}}}\r\n", item.label, item.fields.size());
          item.fields.append(out, sender, number);
          break;
      }
    }
    out += ")\r\n";
  }
};

/// "1:5,7,*" of a mailbox.
std::vector<std::pair<std::size_t, std::size_t>> parse_set(std::string_view text, std::size_t count) {
  std::vector<std::pair<std::size_t, std::size_t>> ranges;
  const auto number = [count](std::string_view digits) {
    return digits == "*" ? count : std::strtoul(std::string(digits).c_str(), nullptr, 10);
  };
  while (!text.empty()) {
    const std::string_view one = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), one.size() + 1));
    const std::size_t colon = one.find(':');
    std::size_t first = number(one.substr(0, colon));
    std::size_t last = colon == std::string_view::npos ? first : number(one.substr(colon + 1));
    if (first > last) std::swap(first, last);
    last = std::min(last, count);
    first = std::max<std::size_t>(first, 1);
    if (first <= last) ranges.emplace_back(first, last);
  }
  return ranges;
}

/// One connection of the upstream.
class Session {
 public:
  explicit Session(uv_stream_t* listener) {
    uv_tcp_init(listener->loop, &handle_);
    handle_.data = this;
    if (uv_accept(listener, stream()) != 0) {
      close();
      return;
    }
    uv_tcp_nodelay(&handle_, 1);
    write("* OK [CAPABILITY " + std::string(kCapabilities) + "] canned\r\n");
    uv_read_start(stream(), allocate, on_read);
  }

 private:
  static constexpr std::string_view kCapabilities =
      "IMAP4rev1 SASL-IR LITERAL+ IDLE NAMESPACE UIDPLUS ENABLE UNSELECT AUTH=PLAIN";
  struct Write {
    uv_write_t request;
    Session* session;
    std::string text;
  };

  uv_tcp_t handle_;
  std::string in_;         // what is not understood yet
  std::string command_;    // a command up to a literal
  std::size_t need_ = 0;   // octets of that literal
  std::string expecting_;  // the tag of AUTHENTICATE or IDLE that waits for a line
  Mailbox mailbox_;
  std::unique_ptr<Fetch> fetch_;
  bool writing_ = false;

  uv_stream_t* stream() { return reinterpret_cast<uv_stream_t*>(&handle_); }
  void close() {
    if (uv_is_closing(reinterpret_cast<uv_handle_t*>(&handle_)) != 0) return;
    uv_close(reinterpret_cast<uv_handle_t*>(&handle_),
             [](uv_handle_t* handle) { delete static_cast<Session*>(handle->data); });
  }

  static void allocate(uv_handle_t*, std::size_t, uv_buf_t* buffer) {
    static std::array<char, 65536> shared;
    *buffer = uv_buf_init(shared.data(), shared.size());
  }
  static void on_read(uv_stream_t* stream, ssize_t count, const uv_buf_t* buffer) {
    auto* self = static_cast<Session*>(stream->data);
    if (count < 0) return self->close();
    self->in_.append(buffer->base, static_cast<std::size_t>(count));
    self->go_on();
  }

  void write(std::string text) {
    auto* write = new Write{{}, this, std::move(text)};
    const uv_buf_t buffer = uv_buf_init(write->text.data(), static_cast<unsigned>(write->text.size()));
    writing_ = true;
    uv_write(&write->request, stream(), &buffer, 1, [](uv_write_t* request, int status) {
      const std::unique_ptr<Write> done(reinterpret_cast<Write*>(request));
      done->session->writing_ = false;
      if (status == 0) done->session->go_on();
    });
  }

  /// One write at a time; commands wait for the answers before them.
  void go_on() {
    std::string out;
    while (!writing_) {
      if (fetch_) {
        if (fetch_->go_on(out, mailbox_)) fetch_.reset();
        if (out.size() > 128 * 1024) break;
        continue;
      }
      if (!next_command(out)) break;
    }
    if (in_.empty()) in_.shrink_to_fit();
    if (!out.empty()) write(std::move(out));
  }

  bool next_command(std::string& out) {
    if (need_ > 0) {
      if (in_.size() < need_) return false;
      command_.append(in_, 0, need_);
      in_.erase(0, need_);
      need_ = 0;
    }
    const std::size_t end = in_.find("\r\n");
    if (end == std::string::npos) return false;
    std::string line = in_.substr(0, end);
    in_.erase(0, end + 2);
    if (!expecting_.empty()) {
      out += std::exchange(expecting_, {}) + " OK done\r\n";
      return true;
    }
    if (line.ends_with('}')) {
      const std::size_t open = line.rfind('{');
      const bool synchronizing = line[line.size() - 2] != '+';
      need_ = std::strtoul(line.c_str() + open + 1, nullptr, 10);
      command_ += line;
      if (synchronizing) out += "+ go on\r\n";
      return true;
    }
    command_ += line;
    run(std::exchange(command_, {}), out);
    return true;
  }

  void run(const std::string& command, std::string& out) {
    const std::size_t space = command.find(' ');
    const std::string tag = command.substr(0, space);
    std::string rest = space == std::string::npos ? "" : command.substr(space + 1);
    bool uid = false;
    if (upper(rest.substr(0, 4)) == "UID ") {
      uid = true;
      rest.erase(0, 4);
    }
    const std::string name = upper(rest.substr(0, rest.find(' ')));
    const std::string arguments = rest.size() > name.size() ? rest.substr(name.size() + 1) : "";
    if (name == "FETCH") {
      if (!begin_fetch(tag, arguments, uid)) out += tag + " BAD cannot fetch that: " + arguments + "\r\n";
      return;
    }
    if (name == "AUTHENTICATE" && arguments.find(' ') == std::string::npos) {
      expecting_ = tag;
      out += "+ \r\n";
      return;
    }
    if (name == "IDLE") {
      expecting_ = tag;
      out += "+ idling\r\n";
      return;
    }
    if (name == "CAPABILITY") out += "* CAPABILITY " + std::string(kCapabilities) + "\r\n";
    if (name == "SELECT" || name == "EXAMINE") select(arguments, out);
    if (name == "LIST") out += "* LIST () \"/\" INBOX\r\n";
    if (name == "ID") out += "* ID NIL\r\n";
    if (name == "NAMESPACE") out += "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n";
    if (name == "LOGOUT") out += "* BYE\r\n";
    if (name == "LOGIN" || name == "AUTHENTICATE") {
      out += tag + " OK [CAPABILITY " + std::string(kCapabilities) + "] done\r\n";
    } else {
      out += tag + " OK done\r\n";
    }
  }

  void select(const std::string& arguments, std::string& out) {
    const std::size_t start = arguments.find('S');
    mailbox_ = {10, 10240};
    if (start != std::string::npos) {
      std::sscanf(arguments.c_str() + start, "S%zu.%zu", &mailbox_.count, &mailbox_.size);
    }
    mailbox_.size =
        std::clamp(mailbox_.size, header_template.size(), header_template.size() + body_text.size());
    out += fmt::format(
        "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)\r\n* {} EXISTS\r\n* 0 RECENT\r\n"
        "* OK [UIDVALIDITY 1767232268] ok\r\n* OK [UIDNEXT {}] ok\r\n",
        mailbox_.count, mailbox_.count + 1);
  }

  bool begin_fetch(const std::string& tag, std::string_view arguments, bool uid) {
    auto fetch = std::make_unique<Fetch>();
    const std::size_t space = arguments.find(' ');
    if (space == std::string_view::npos) return false;
    fetch->tag = tag;
    fetch->ranges = parse_set(arguments.substr(0, space), mailbox_.count);
    if (!fetch->ranges.empty()) fetch->next = fetch->ranges.front().first;
    std::string list = upper(arguments.substr(space + 1));
    if (list.starts_with('(') && list.ends_with(')')) list = list.substr(1, list.size() - 2);
    bool has_uid = false;
    for (std::size_t at = 0; at < list.size();) {
      std::size_t end = list.find_first_of(" [", at);
      if (end != std::string::npos && list[end] == '[') end = list.find(']', end) + 1;
      const auto item = fetch_item(list.substr(at, end - at));
      if (!item) return false;
      has_uid = has_uid || item->kind == Item::Kind::uid;
      fetch->items.push_back(*item);
      at = end == std::string::npos ? list.size() : end + 1;
    }
    if (uid && !has_uid) fetch->items.insert(fetch->items.begin(), Item{.kind = Item::Kind::uid});
    fetch_ = std::move(fetch);
    return true;
  }
};

int run_upstream(int port) {
  while (body_text.size() < 1u << 20) body_text += kLine;
  uv_loop_t* loop = uv_default_loop();
  uv_tcp_t listener;
  uv_tcp_init(loop, &listener);
  const sockaddr_in address = loopback(port);
  if (uv_tcp_bind(&listener, reinterpret_cast<const sockaddr*>(&address), 0) != 0) fail("bind");
  const auto on_connection = [](uv_stream_t* from, int status) {
    if (status == 0) new Session(from);
  };
  if (uv_listen(reinterpret_cast<uv_stream_t*>(&listener), 4096, on_connection) != 0) fail("listen");
  return uv_run(loop, UV_RUN_DEFAULT);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) fail("usage: see the head of imap_upstream.cc");
  senders = std::strtoul(argv[2], nullptr, 10);
  return run_upstream(std::atoi(argv[1]));
}
