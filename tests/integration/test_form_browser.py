"""The forms of docs/web-form.md in a real browser, in Japanese and English; and the gateway's own page."""

import email
import email.policy
import http.server
import os
import re
import threading
import unittest

from harness import browser
from harness.gateway import ROOT
from harness.mail import address, find_traces, header_of
from harness.ports import free_port
from harness.small import OFFICER, PUBLIC, TEACHER, Small
from harness.waiting import wait_for

VISITOR = "yamada@stranger.test"


def documented():
    """{language: form} as the page has them."""
    with open(os.path.join(ROOT, "docs", "web-form.md"), encoding="utf-8") as file:
        english, japanese = re.findall(r"```html\n(.*?)```", file.read(), re.S)
    return {"en": english, "ja": japanese}


class Site:
    """A web site with the forms, on another origin than the gateway."""

    def __init__(self, pages):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                page = pages.get(self.path, "")
                self.send_response(200 if page else 404)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.end_headers()
                self.wfile.write(page.encode())

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.origin = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


@unittest.skipUnless(browser.installed(), "chromium and chromium-driver are not installed")
class InABrowser(Small):
    settings = {"form": True}

    @classmethod
    def configure(cls):
        cls.pages = {"/thanks": "<!DOCTYPE html><title>Thanks</title><p id=outcome>thanks</p>"}
        cls.site = Site(cls.pages)
        cls.space.add(cls.site)
        cls.port, cls.plain = free_port(), free_port()
        cls.gateway.config["listen"] += [{"face": "forms", "address": "127.0.0.1", "port": cls.port},
                                         {"face": "form", "address": "127.0.0.1", "port": cls.plain}]
        cls.gateway.merge({"form": {"origins": [cls.site.origin], "min_time": "0s"}})
        cls.browser = browser.Browser(cls.space)

    def page(self, language, redirect=False, charset="utf-8"):
        form = documented()[language].replace("https://forms.school.example", f"https://localhost:{self.port}")
        if charset != "utf-8":
            form = form.replace('accept-charset="utf-8"', f'accept-charset="{charset}"')
            form = form.replace("</form>", '<input type="hidden" name="_charset_"></form>')
        if redirect:
            form = form.replace("</form>", f'<input type="hidden" name="_redirect" value="{self.site.origin}/thanks"></form>')
        self.pages[f"/{language}"] = f'<!DOCTYPE html><html lang="{language}"><meta charset="utf-8">{form}</html>'
        self.browser.speak(language)
        self.browser.open(f"{self.site.origin}/{language}")

    def fill_in(self, name, subject, text, file=None):
        self.browser.type("[name=name]", name)
        self.browser.type("[name=email]", VISITOR)
        self.browser.type("[name=subject]", subject)
        self.browser.type("[name=message]", text)
        if file:
            self.browser.type("[name=attachment]", file)
        wait_for(lambda: self.browser.run("return document.forms[0]._token.value"), 20, "the token")
        self.browser.click("button")
        wait_for(lambda: self.browser.run("return !!document.getElementById('outcome')"), 30, "the answer")

    def mail(self):
        copies = self.copies(2)
        for copy in copies:
            self.assertEqual(find_traces(header_of(copy.data), [VISITOR, "stranger.test"]), [])
            self.assertTrue(address(copy.data).endswith("@p.school.example"))
        return email.message_from_bytes(self.copy_for(OFFICER, copies).data, policy=email.policy.default)

    def test_english_with_a_file(self):
        path = self.space.write("class list.pdf", b"%PDF-1.4\r\n\x00\xff--\r\n" * 5000)
        self.page("en")
        self.fill_in("Taro O'Yamada", "Lunch, please", "When is lunch?\n.\nTaro", path)
        self.assertIn("has been delivered", self.browser.text("#outcome"))
        seen = self.mail()
        self.assertEqual(seen["From"].addresses[0].display_name, "Taro O'Yamada")
        self.assertEqual(seen["Subject"], "Lunch, please")
        self.assertEqual(seen.get_body().get_content().splitlines(), ["When is lunch?", ".", "Taro"])
        (file,) = seen.iter_attachments()
        self.assertEqual((file.get_filename(), file.get_content_type()), ("class list.pdf", "application/pdf"))
        with open(path, "rb") as original:
            self.assertEqual(file.get_content(), original.read())

    def test_japanese_with_a_file_and_a_redirect(self):
        path = self.space.write("名簿 表一.txt", "表示\n".encode())
        self.page("ja", redirect=True)
        self.fill_in("山田　太郎", "給食について", "給食はいつからですか。\n①㈱髙﨑 🍙\n", path)
        self.assertEqual((self.browser.url(), self.browser.text("#outcome")), (f"{self.site.origin}/thanks", "thanks"))
        seen = self.mail()
        self.assertEqual(seen["From"].addresses[0].display_name, "山田　太郎")
        self.assertEqual(seen["Subject"], "給食について")
        self.assertEqual(seen.get_body().get_content().splitlines(), ["給食はいつからですか。", "①㈱髙﨑 🍙"])
        (file,) = seen.iter_attachments()
        self.assertEqual((file.get_filename(), file.get_payload(decode=True)), ("名簿 表一.txt", "表示\n".encode()))

    def test_forms_in_the_charsets_of_old_pages(self):
        path = self.space.write("あ表.txt", "x")
        for charset in ("Shift_JIS", "EUC-JP", "ISO-2022-JP"):
            with self.subTest(charset=charset):
                self.page("ja", charset=charset)
                self.fill_in("山田あ", "表示ソ", "あ「能」①🍙\n&#64;", path)
                self.assertIn("送信しました", self.browser.text("#outcome"))
                seen = self.mail()
                self.assertEqual((seen["From"].addresses[0].display_name, seen["Subject"]), ("山田あ", "表示ソ"))
                self.assertEqual(seen.get_body().get_content().splitlines(), ["あ「能」①🍙", "&#64;"])
                self.assertEqual([a.get_filename() for a in seen.iter_attachments()], ["あ表.txt"])

    def ask_for_codes(self):
        self.gateway.apply(self.routes().replace("form = true", "form = true\nform_code = true"))
        self.addCleanup(lambda: self.gateway.apply(self.routes()))
        wait_for(lambda: "form_code: true" in self.gateway.show().stdout, 20, "the policy")

    def enter_the_code(self):
        self.assertIn("確認コード", self.browser.text("#outcome"))
        (mail,) = self.sink.wait_messages(1)
        self.sink.clear()
        code = re.search(r"\d{4}-\d{4}", email.message_from_bytes(mail.data, policy=email.policy.default).get_content())
        self.browser.type("[name=_code]", code.group())

    def test_a_visitor_proves_the_address(self):
        self.ask_for_codes()
        path = self.space.write("地図.txt", "x" * 1000)
        self.page("ja")
        self.fill_in("山田　太郎", "給食 & \"遠足\"", "一行目\n<b>二行目</b>", path)
        self.enter_the_code()
        self.browser.type("[name=attachment]", path)
        self.browser.click("button")
        wait_for(lambda: self.browser.run("return document.body.innerText.includes('送信しました')"), 30, "success")
        seen = self.mail()
        self.assertEqual((seen["From"].addresses[0].display_name, seen["Subject"]), ("山田　太郎", '給食 & "遠足"'))
        self.assertEqual(seen.get_body().get_content().splitlines(), ["一行目", "<b>二行目</b>"])
        self.assertEqual([a.get_filename() for a in seen.iter_attachments()], ["地図.txt"])

    def test_a_page_to_go_on_to_after_the_code(self):
        self.ask_for_codes()
        self.page("ja", redirect=True)
        self.fill_in("花子", "遠足", "雨の日は？")
        self.enter_the_code()
        self.browser.click("button")
        wait_for(lambda: self.browser.url() == f"{self.site.origin}/thanks", 30, "the page to go on to")
        self.assertEqual(self.mail()["Subject"], "遠足")

    def test_a_second_try_from_the_gateways_own_page(self):
        self.browser.speak("ja")
        # Chromium keeps no page of a server whose certificate it does not know: going back would load another.
        self.browser.open(f"http://localhost:{self.plain}/form/{PUBLIC}")
        self.second_try()

    def test_a_second_try_from_the_documented_form(self):
        self.page("ja")
        self.second_try()

    def second_try(self):
        """One of two members is served, the visitor goes back and sends again: nobody has it twice."""
        self.sink.fail("rcpt", reply="451 4.2.0 later", match=TEACHER)
        self.fill_in("花子", "遠足", "雨の日は？")
        self.assertIn("もう一度送信", self.browser.text("#outcome"))
        self.sink.heal()
        self.browser.call("POST", "/back", {})
        wait_for(lambda: self.browser.run("return document.forms.length == 1"), 20, "the form again")
        self.browser.click("button")
        wait_for(lambda: self.browser.run("return document.body.innerText.includes('送信しました')"), 30, "success")
        self.assertEqual(self.mail()["Subject"], "遠足")


if __name__ == "__main__":
    unittest.main(verbosity=2)
