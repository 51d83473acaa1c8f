// The table, and the small pages. No answer but code_page shows anything that the visitor sent.
#include "app/form_answers.h"

#include <fmt/format.h>

#include <array>

#include "http/negotiate.h"

namespace kage::app {
namespace {

using metrics::Counter;
using enum FormOutcome;

constexpr std::size_t kCount = static_cast<std::size_t>(FormOutcome::size_);

constexpr std::array<FormOutcomeRow, kCount> kTable = {{
    {sent, 200, Counter::forms_sent, "sent",
     "Thank you. Your message has been delivered; the answer comes by e-mail.",
     "送信しました。ご返事はメールでお届けします。"},
    {deferred, 503, Counter::forms_deferred, "try_again",
     "Your message could not be delivered just now. Nothing was kept: please go back and send it again in a "
     "minute.",
     "ただいま配送できませんでした。内容は保存されていません。前のページに戻り、1分ほどたってからもう一度送信"
     "してください。"},
    {refused, 502, Counter::forms_refused, "refused",
     "Your message was refused by a mail server and could not be delivered to everybody.",
     "メールサーバーに受け取りを拒否されたため、全員には配送できませんでした。"},
    {malformed, 400, Counter::forms_invalid, "malformed", "The form could not be read. Nothing was sent.",
     "フォームの内容を読み取れませんでした。送信されていません。"},
    {unknown_field, 400, Counter::forms_invalid, "unknown_field",
     "The form has a field that is not known here. Nothing was sent.",
     "フォームに未対応の項目があります。送信されていません。"},
    {twice, 400, Counter::forms_invalid, "twice", "The form has one field twice. Nothing was sent.",
     "フォームに同じ項目が二つあります。送信されていません。"},
    {file_in_text, 400, Counter::forms_invalid, "wrong_field",
     "The form has a file in the place of a text, or a text in the place of a file. Nothing was sent.",
     "テキストの項目にファイルが、またはファイルの項目にテキストが入っています。送信されていません。"},
    {charset, 400, Counter::forms_invalid, "charset",
     "The characters of the form could not be read. Nothing was sent.",
     "フォームの文字コードを読み取れませんでした。送信されていません。"},
    {control, 400, Counter::forms_invalid, "control_character",
     "A field has a line break or a control character in it. Nothing was sent: please go back and remove it.",
     "改行や制御文字を含む項目があります。送信されていません。前のページに戻って取り除いてください。"},
    {too_long, 400, Counter::forms_invalid, "too_long",
     "A field is too long. Nothing was sent: please go back and shorten it.",
     "長すぎる項目があります。送信されていません。前のページに戻って短くしてください。"},
    {no_email, 400, Counter::forms_invalid, "no_email",
     "Please go back and fill in your e-mail address, so that we can answer.",
     "前のページに戻り、返信先のメールアドレスをご記入ください。"},
    {bad_email, 400, Counter::forms_invalid, "bad_email",
     "Please go back and check your e-mail address: we could not answer to it.",
     "前のページに戻り、メールアドレスをご確認ください。このままでは返信できません。"},
    {no_message, 400, Counter::forms_invalid, "no_message", "Please go back and write a message.",
     "前のページに戻り、本文をご記入ください。"},
    {bad_redirect, 400, Counter::forms_invalid, "bad_redirect",
     "The form wants to go on to a page that is not allowed. Nothing was sent.",
     "送信後の移動先として許可されていないページが指定されています。送信されていません。"},
    {trapped, 400, Counter::forms_robot, "robot",
     "Nothing was sent: a field that has to stay empty was filled in. Please go back and empty it.",
     "空欄のままにする項目に入力があったため、送信されていません。前のページに戻って空欄にしてください。"},
    {too_fast, 400, Counter::forms_robot, "too_fast",
     "That was very fast. Nothing was sent: please go back, wait some seconds and send it again.",
     "送信が早すぎます。送信されていません。前のページに戻り、数秒待ってからもう一度送信してください。"},
    {stale, 400, Counter::forms_robot, "stale",
     "The form has been open for too long, or was not opened properly. Nothing was sent: please go back, "
     "load the page "
     "again and send it again.",
     "フォームの有効期限が切れているか、正しく開かれていません。送信されていません。"
     "前のページに戻り、ページを再読み込みしてからもう一度送信してください。"},
    {wrong_origin, 403, Counter::forms_origin, "origin",
     "This page is not allowed to send to this form. Nothing was sent.",
     "このページからの送信は許可されていません。送信されていません。"},
    {no_form, 404, Counter::forms_unknown, "not_found", "There is no such form.",
     "このフォームはありません。"},
    {wrong_method, 405, Counter::forms_invalid, "method", "This cannot be done here.",
     "この操作はできません。"},
    {too_slow, 408, Counter::forms_invalid, "too_slow",
     "The form took too long to arrive. Nothing was sent: please try again.",
     "送信に時間がかかりすぎました。送信されていません。もう一度お試しください。"},
    {too_large, 413, Counter::forms_invalid, "too_large",
     "The message and its files are too large. Nothing was sent: please go back and leave something out.",
     "本文と添付ファイルが大きすぎます。送信されていません。前のページに戻って減らしてください。"},
    {too_many_files, 413, Counter::forms_invalid, "too_many_files",
     "There are too many files. Nothing was sent: please go back and leave some out.",
     "添付ファイルが多すぎます。送信されていません。前のページに戻って減らしてください。"},
    {wrong_type, 415, Counter::forms_invalid, "type",
     "The form was sent in a way that is not understood here. Nothing was sent.",
     "フォームの送信形式に対応していません。送信されていません。"},
    {throttled, 429, Counter::forms_throttled, "throttled",
     "There were too many messages for now. Nothing was sent: please try again later.",
     "送信が多すぎるため、ただいま受け付けられません。送信されていません。しばらくしてからお試しください。"},
    {code_sent, 428, Counter::forms_code, "code",
     "A code is on its way to your e-mail address. Your message is sent when you have entered it. If no code "
     "comes within some minutes, please go back and check the address.",
     "確認コードをメールでお送りしました。入力して送信を完了してください。数分たっても届かない場合は、前のペ"
     "ージに"
     "戻り、メールアドレスをご確認ください。"},
    {wrong_code, 400, Counter::forms_invalid, "wrong_code",
     "That is not the code that we sent to this address. Nothing was sent: please enter it again.",
     "確認コードが違います。送信されていません。もう一度入力してください。"},
}};

constexpr bool rows_in_order() {
  for (std::size_t i = 0; i < kTable.size(); ++i) {
    if (kTable[i].outcome != static_cast<FormOutcome>(i)) return false;
  }
  return true;
}
static_assert(rows_in_order());

std::string escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

/// `redirect`: the origin that an answer to the page's own form may lead to, or nothing. Chromium holds a
/// redirect after a form to form-action too (CSP3 §6.4.1.1).
http::Response page(int status, std::string_view title, std::string_view body, bool japanese,
                    std::string_view redirect = {}) {
  http::Response response;
  response.status = status;
  response.content_type = "text/html; charset=utf-8";
  response.content = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"{}\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width\">\n<title>{}</title>\n"
      "<style>body {{ font-family: sans-serif; max-width: 40em; margin: 2em auto; padding: 0 1em }} "
      "input, textarea {{ width: 100%; box-sizing: border-box "
      "}}</style>\n</head>\n<body>\n{}</body>\n</html>\n",
      japanese ? "ja" : "en", title, body);
  // Not no-referrer: the browser would then say "Origin: null" with the form that the page holds.
  response.fields.emplace_back("Referrer-Policy", "same-origin");
  response.fields.emplace_back(
      "Content-Security-Policy",
      fmt::format("default-src 'none'; style-src 'unsafe-inline'; form-action 'self'{}{}; "
                  "base-uri 'none'; frame-ancestors 'none'",
                  redirect.empty() ? "" : " ", redirect));
  return response;
}

}  // namespace

const FormOutcomeRow& form_outcome(FormOutcome outcome) {
  return kTable[static_cast<std::size_t>(outcome)];
}

http::Response form_answer(FormOutcome outcome, FormManner manner) {
  const FormOutcomeRow& row = form_outcome(outcome);
  const std::string_view text = manner.japanese ? row.japanese : row.english;
  const bool ok = outcome == sent;
  if (manner.json) {
    // The texts of the table need no escapes.
    http::Response response;
    response.status = row.status;
    response.content_type = "application/json";
    response.content = fmt::format("{{\"ok\":{},\"code\":\"{}\",\"message\":\"{}\"}}\n", ok, row.code, text);
    return response;
  }
  const std::string_view title = manner.japanese ? (ok ? "送信しました" : "送信されていません")
                                                 : (ok ? "Message sent" : "Message not sent");
  const std::string body =
      fmt::format("<h1>{}</h1>\n<p id=\"outcome\" data-code=\"{}\">{}</p>\n", title, row.code, text);
  return page(row.status, title, body, manner.japanese);
}

http::Response form_page(std::string_view title, std::string_view token, unsigned max_files, bool japanese) {
  const auto say = [japanese](std::string_view english, std::string_view other) {
    return japanese ? other : english;
  };
  const std::string shown = escape(title);
  const std::string files =
      max_files == 0
          ? std::string()
          : fmt::format("<p><label>{} <input type=\"file\" name=\"attachment\" multiple></label></p>\n",
                        say("Files", "添付ファイル"));
  const std::string body = fmt::format(
      "<h1>{}</h1>\n<form method=\"post\" enctype=\"multipart/form-data\" accept-charset=\"utf-8\">\n"
      "<p><label>{} <input name=\"name\" autocomplete=\"name\" maxlength=\"60\"></label></p>\n"
      "<p><label>{} <input name=\"email\" type=\"email\" autocomplete=\"email\" required></label></p>\n"
      "<p><label>{} <input name=\"subject\" maxlength=\"150\"></label></p>\n"
      "<p><label>{} <textarea name=\"message\" rows=\"10\" required></textarea></label></p>\n{}"
      "<p hidden><input name=\"website\" tabindex=\"-1\" autocomplete=\"off\"></p>\n"
      "<input type=\"hidden\" name=\"_token\" value=\"{}\">\n<p><button>{}</button></p>\n</form>\n",
      shown, say("Your name", "お名前"), say("Your e-mail address", "メールアドレス"), say("Subject", "件名"),
      say("Message", "本文"), files, token, say("Send", "送信"));
  // A browser that goes back shows this page again; its token must still be the same.
  http::Response response = page(200, shown, body, japanese);
  response.cacheable = true;
  return response;
}

http::Response code_page(FormOutcome outcome, const message::FormLetter& letter, bool japanese) {
  const FormOutcomeRow& row = form_outcome(outcome);
  const auto say = [japanese](std::string_view english, std::string_view other) {
    return japanese ? other : english;
  };
  const std::string_view title = say("One more step", "あと一歩です");
  std::string body = fmt::format(
      "<h1>{}</h1>\n<p id=\"outcome\" data-code=\"{}\">{}</p>\n"
      "<form method=\"post\" enctype=\"multipart/form-data\" accept-charset=\"utf-8\">\n"
      "<p><label>{} <input name=\"_code\" inputmode=\"numeric\" autocomplete=\"one-time-code\" required "
      "autofocus></label></p>\n",
      title, row.code, say(row.english, row.japanese), say("Code", "確認コード"));
  if (!letter.files.empty()) {
    body += fmt::format("<p><label>{} <input type=\"file\" name=\"attachment\" multiple></label></p>\n",
                        say("Please choose your files again", "添付ファイルをもう一度選択してください"));
  }
  const std::string email = letter.email.quoted();
  const std::pair<std::string_view, std::string_view> hidden[] = {{"name", letter.name},
                                                                  {"email", email},
                                                                  {"subject", letter.subject},
                                                                  {"_token", letter.token},
                                                                  {"_redirect", letter.redirect}};
  for (const auto& [name, value] : hidden) {
    body += fmt::format("<input type=\"hidden\" name=\"{}\" value=\"{}\">\n", name, escape(value));
  }
  // A browser drops one line end at the beginning of a textarea (WHATWG HTML §13.2.6.4.7).
  body += fmt::format(
      "<p><label>{} <textarea name=\"message\" rows=\"10\" required>\n{}</textarea></label></p>\n"
      "<p><button>{}</button></p>\n</form>\n",
      say("Message", "本文"), escape(letter.text), say("Send", "送信"));
  return page(row.status, title, body, japanese, http::origin_of_url(letter.redirect).value_or(""));
}

http::Response token_answer(std::string_view token) {
  http::Response response;
  response.content_type = "application/json";
  response.content = fmt::format("{{\"token\":\"{}\"}}\n", token);
  return response;
}

}  // namespace kage::app
