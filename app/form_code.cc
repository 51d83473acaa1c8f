// The code and its mail, in the language of the visitor's browser.
#include "app/form_code.h"

#include <fmt/format.h>

#include <vector>

#include "base/clock.h"
#include "base/text.h"
#include "mapping/keys/keys.h"
#include "message/base64_lines.h"
#include "message/encoded_word.h"
#include "message/header.h"

namespace kage::app {
namespace {

constexpr std::size_t kDigits = 8;

/// "1234-5678"
std::string shown(std::string_view code) {
  return std::string(code.substr(0, kDigits / 2)).append("-").append(code.substr(kDigits / 2));
}

std::string text_of(std::string_view code, std::string_view address, bool japanese) {
  if (japanese) {
    return fmt::format(
        "ウェブフォームから {0} へメッセージを送信しようとしています。\r\n"
        "次の確認コードをフォームの画面に入力してください。\r\n\r\n    {1}\r\n\r\n"
        "お心当たりがない場合は、このメールを破棄してください。何も送信されません。\r\n",
        address, code);
  }
  return fmt::format(
      "Somebody is writing to {0} through its web form and gave this e-mail address.\r\n"
      "If it was you, enter this code in the form:\r\n\r\n    {1}\r\n\r\n"
      "If not, ignore this mail: nothing will be sent.\r\n",
      address, code);
}

}  // namespace

std::string form_code(const mapping::MasterKeys& master, std::string_view address,
                      const message::Address& visitor, std::string_view token) {
  // No part holds a NUL, so none can pass for a piece of its neighbour.
  std::string text("form code\0", 10);
  text.append(address).append(1, '\0').append(visitor.canonical()).append(1, '\0').append(token);
  const mapping::Mac hash = mapping::hmac_sha256(master.index_key(), text);
  std::uint64_t number = 0;
  for (const char c : hash.first(8)) number = number << 8 | static_cast<unsigned char>(c);
  return fmt::format("{:0{}}", number % 100'000'000, kDigits);
}

bool is_form_code(std::string_view given, std::string_view code) {
  static constexpr std::string_view kWide = "\xEF\xBC";  // of U+FF10 to U+FF19
  std::string digits;
  for (std::size_t i = 0; i < given.size() && digits.size() <= kDigits; ++i) {
    if (is_digit(given[i])) {
      digits.push_back(given[i]);
    } else if (given.substr(i).starts_with(kWide) && i + 2 < given.size()) {
      const int digit = static_cast<unsigned char>(given[i + 2]) - 0x90;
      if (digit >= 0 && digit <= 9) digits.push_back(static_cast<char>('0' + digit));
      i += 2;
    }
  }
  return equals_secret(digits, code);
}

CodeMail write_code_mail(const mapping::PublicAddress& from, const message::Address& visitor,
                         std::string_view code, std::string_view id, std::int64_t now, bool japanese) {
  CodeMail mail;
  std::string& header = mail.header;
  std::vector<std::string> author;
  if (!from.spec.display_name.empty()) author.push_back(message::encode_phrase(from.spec.display_name));
  author.push_back("<" + from.spec.address.quoted() + ">");
  const std::string_view subject = japanese ? "確認コード：" : "Your code: ";
  message::write_field(header, "Date", rfc5322_date(now));
  message::write_field(header, "From", author);
  message::write_field(header, "To", std::vector<std::string>{"<" + visitor.quoted() + ">"});
  message::write_field(header, "Subject", message::encode_words(std::string(subject) + shown(code)));
  message::write_field(header, "Message-ID", std::vector<std::string>{fmt::format("<{}>", id)});
  header.append("Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n");
  std::string text = text_of(shown(code), from.spec.address.quoted(), japanese);
  const bool plain = all_ascii(text);
  header.append(plain ? "Content-Type: text/plain; charset=us-ascii\r\nContent-Transfer-Encoding: 7bit\r\n"
                      : "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n");
  if (plain) {
    mail.body = std::move(text);
    return mail;
  }
  message::append_base64_lines(mail.body, text);
  return mail;
}

}  // namespace kage::app
