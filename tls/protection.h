// What protects a connection's octets once hands are shaken. Internal to tls.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "tls/view_bio.h"

namespace kage::tls {

/// One connection's, used by one thread. After a failure it does nothing any more.
class Protection {
 public:
  enum class Step : std::uint8_t {
    more,    ///< all input is used up
    full,    ///< `room` is full; call again, there may be more
    ended,   ///< the peer's close_notify
    failed,  ///< reason() tells; an alert may be in the output
  };

  Protection() = default;
  virtual ~Protection() = default;
  Protection(const Protection&) = delete;
  Protection& operator=(const Protection&) = delete;

  /// Decrypts text.input to the front of `room` (at least 32 kB); `size`: how many octets, which are good
  /// whatever the step. Answers of the protocol itself go to text.output.
  virtual Step open(CipherText& text, std::span<char> room, std::size_t& size) = 0;
  /// Appends all of `data` to text.output, encrypted. False: failed.
  virtual bool seal(CipherText& text, std::string_view data) = 0;
  /// Appends our close_notify.
  virtual void end(CipherText& text) = 0;
  /// Whether open() can give something without more input.
  [[nodiscard]] virtual bool holds_data() const = 0;
  /// Nothing is expected for a while: gives memory back.
  virtual void rest() {}
  /// What goes on in this one's place from now on; null: this one does.
  virtual std::unique_ptr<Protection> hand_over() { return nullptr; }

  /// A fixed text of ours or of OpenSSL's.
  [[nodiscard]] const std::string& reason() const { return reason_; }
  [[nodiscard]] bool failed() const { return !reason_.empty(); }

 protected:
  void fail_with(std::string reason) { reason_ = std::move(reason); }

 private:
  std::string reason_;
};

}  // namespace kage::tls
