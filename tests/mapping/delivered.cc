// The fields and their sizes are those that large providers, carriers and a plain Postfix write; the people
// are made up.
#include "delivered.h"

#include <array>
#include <vector>

#include "base/text.h"

namespace kage::mapping::test {
namespace {

constexpr std::array<std::string_view, 8> kGiven = {"taro",  "hanako", "kenji", "yuki",
                                                    "maria", "john",   "ren",   "a.b-c"};
constexpr std::array<std::string_view, 8> kDomains = {"gmail.com",
                                                      "docomo.ne.jp",
                                                      "example.co.jp",
                                                      "ezweb.ne.jp",
                                                      "yahoo.co.jp",
                                                      "corp.example",
                                                      "mail.kindergarten.example",
                                                      "i.softbank.jp"};
constexpr std::array<std::string_view, 5> kNames = {
    "Taro Yamada", "\"Yamada, Hanako\"",
    "=?ISO-2022-JP?B?GyRCOzNFREIASTobKEI=?=", "=?UTF-8?B?5bGx55Sw6Iqx5a2Q?=", "Sales"};
constexpr std::array<std::string_view, 5> kSubjects = {
    "Re: Meeting on Thursday", "=?UTF-8?B?UmU6IOaXpeabnOaXpeOBrumgguWPluOCiuOBq+OBpOOBhOOBpg==?=",
    "=?ISO-2022-JP?B?GyRCMnE1RCRONDFGYhsoQg==?=", "Your order 12345 has shipped",
    "=?UTF-8?Q?Gr=C3=BC=C3=9Fe_aus_K=C3=B6ln_und_ein_l=C3=A4ngerer_Betreff?=\r\n "
    "=?UTF-8?Q?_der_gefaltet_ist?="};

/// Base64 that looks like a signature, folded.
std::string signature(Numbers& numbers, std::size_t lines) {
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t line = 0; line < lines; ++line) {
    out += "\r\n         ";
    for (std::size_t i = 0; i < 64; ++i) out.push_back(kAlphabet[numbers.below(kAlphabet.size())]);
  }
  return out;
}

}  // namespace

DeliveredHeader::DeliveredHeader(std::uint64_t seed, std::string public_address, std::string mailbox)
    : numbers_(seed), public_address_(std::move(public_address)), mailbox_(std::move(mailbox)) {}

std::string DeliveredHeader::person() {
  return std::string(kGiven[numbers_.below(kGiven.size())]) + std::to_string(numbers_.below(500)) + "@" +
         std::string(kDomains[numbers_.below(kDomains.size())]);
}

std::string DeliveredHeader::id() {
  const std::string domain(kDomains[numbers_.below(kDomains.size())]);
  const std::string number = std::to_string(numbers_.next());
  switch (numbers_.below(3)) {
    case 0:
      return "<CA+" + base64url(number) + "@mail.gmail.com>";
    case 1:
      return "<" + number + ".JavaMail.root@" + domain + ">";
    default:
      return "<20260101.123456." + number + "@" + domain + ">";
  }
}

std::string DeliveredHeader::subject() {
  return "Subject: " + std::string(kSubjects[numbers_.below(kSubjects.size())]) + "\r\n";
}

std::string DeliveredHeader::address_list(std::string_view name, std::size_t count) {
  std::string out = std::string(name) + ": ";
  for (std::size_t i = 0; i < count; ++i) {
    if (i > 0) out += i % 2 == 0 ? ",\r\n " : ", ";
    if (numbers_.one_in(2)) {
      out += std::string(kNames[numbers_.below(kNames.size())]) + " <" + person() + ">";
    } else {
      out += person();
    }
  }
  return out + "\r\n";
}

std::string DeliveredHeader::received(std::string_view by) {
  return "Received: from mx" + std::to_string(numbers_.below(90)) +
         ".corp.example (mx.corp.example. [192.0.2." + std::to_string(numbers_.below(255)) +
         "])\r\n        by " + std::string(by) + " with ESMTPS id " + std::to_string(numbers_.next()) +
         "\r\n        for <" + mailbox_ +
         ">\r\n        (version=TLS1_3 cipher=TLS_AES_256_GCM_SHA384 bits=256/256);\r\n        Thu, 01 Jan "
         "2026 "
         "12:34:56 +0900 (JST)\r\n";
}

std::string DeliveredHeader::gmail() {
  const std::string sender = person();
  std::string out = "Delivered-To: " + mailbox_ + "\r\n";
  out += "Received: by 2002:a05:6402:1f0a:b0:5e5:1:2 with SMTP id " + std::to_string(numbers_.next()) +
         ";\r\n        Thu, 1 Jan 2026 03:34:57 -0800 (PST)\r\n";
  out += "X-Google-Smtp-Source: AGHT+I" + std::string(64, 'E') + "\r\n";
  out += "X-Received: by 2002:a17:90a:d88f:b0:2ff:6ac2:c5a5 with SMTP id " + std::to_string(numbers_.next()) +
         ";\r\n        Thu, 01 Jan 2026 03:34:57 -0800 (PST)\r\n";
  out +=
      "ARC-Seal: i=1; a=rsa-sha256; t=1767224097; cv=none;\r\n        d=google.com; s=arc-20240605;\r\n      "
      "  b=" +
      signature(numbers_, 5) + "\r\n";
  out +=
      "ARC-Message-Signature: i=1; a=rsa-sha256; c=relaxed/relaxed; d=google.com; s=arc-20240605;\r\n        "
      "h=to:subject:message-id:date:from:mime-version:dkim-signature;\r\n        bh=" +
      signature(numbers_, 6) + ";\r\n        dara=google.com\r\n";
  for (const std::string_view name : {"ARC-Authentication-Results: i=1; ", "Authentication-Results: "}) {
    out += std::string(name) +
           "mx.google.com;\r\n       dkim=pass header.i=@corp.example header.s=20230601 "
           "header.b=abcdefgh;\r\n       spf=pass (google.com: domain of " +
           sender + " designates 192.0.2.7 as permitted sender) smtp.mailfrom=" + sender +
           ";\r\n       dmarc=pass (p=NONE sp=QUARANTINE dis=NONE) header.from=corp.example\r\n";
  }
  out += "Return-Path: <" + sender + ">\r\n" + received("mx.google.com");
  out += "Received-SPF: pass (google.com: domain of " + sender +
         " designates 192.0.2.7 as permitted sender) client-ip=192.0.2.7;\r\n";
  out +=
      "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n        d=corp.example; s=20230601; "
      "t=1767224096; "
      "x=1767828896; darn=gmail.com;\r\n        h=to:subject:message-id:date:from:mime-version;\r\n        "
      "bh=" +
      signature(numbers_, 5) + "\r\n";
  return out;
}

std::string DeliveredHeader::carrier() {
  std::string out = "Return-Path: <" + person() + ">\r\nX-Original-To: " + mailbox_ + "\r\n";
  out += received("mfsmax.docomo.ne.jp") + received("mail.home.example");
  out += "Authentication-Results: mfsmax.docomo.ne.jp; spf=pass smtp.mailfrom=" + person() +
         ";\r\n dkim=none; dmarc=none\r\n";
  out += "X-Spam-Status: No, score=-1.9\r\n";
  return out;
}

std::string DeliveredHeader::postfix() {
  return "Return-Path: <" + person() + ">\r\nX-Original-To: " + mailbox_ + "\r\nDelivered-To: " + mailbox_ +
         "\r\n" + received("mail.home.example") + received("localhost");
}

/// What the author's program wrote.
std::string DeliveredHeader::author() {
  std::string out;
  if (numbers_.one_in(3)) out += "User-Agent: Mozilla Thunderbird\r\n";
  out += address_list("From", 1);
  if (numbers_.one_in(3)) {
    out += "To: " + public_address_ + "\r\n";
  } else {
    out += address_list("To", 1 + numbers_.below(4));
    out.insert(out.size() - 2, ", " + public_address_);
  }
  if (numbers_.one_in(4)) out += address_list("Cc", 1 + numbers_.below(4));
  if (numbers_.one_in(5)) out += address_list("Reply-To", 1);
  if (numbers_.one_in(2)) {
    std::string references;
    for (std::size_t i = 1 + numbers_.below(5); i > 0; --i) references += "\r\n " + id();
    out += "References:" + references +
           "\r\nIn-Reply-To:" + references.substr(references.rfind("\r\n ") + 2) + "\r\n";
  }
  out +=
      subject() + "Date: Thu, 1 Jan 2026 12:34:56 +0900\r\nMessage-ID: " + id() + "\r\nMIME-Version: 1.0\r\n";
  switch (numbers_.below(3)) {
    case 0:
      return out +
             "Content-Type: text/plain; charset=\"UTF-8\"\r\nContent-Transfer-Encoding: quoted-printable\r\n";
    case 1:
      return out + "Content-Type: multipart/alternative; boundary=\"0000000000" +
             std::to_string(numbers_.next()) + "\"\r\n";
    default:
      return out + "Content-Type: text/plain; charset=ISO-2022-JP\r\nContent-Transfer-Encoding: 7bit\r\n";
  }
}

std::string DeliveredHeader::block() {
  std::string trace;
  switch (numbers_.below(3)) {
    case 0:
      trace = gmail();
      break;
    case 1:
      trace = carrier();
      break;
    default:
      trace = postfix();
  }
  return trace + author() + "\r\n";
}

}  // namespace kage::mapping::test
