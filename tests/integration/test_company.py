"""A company whose people have mailboxes that only the inside reaches. They know customers by phantoms alone, and whoever
carries one PC away, with everything on it, has nothing that works and nobody's address.
"""

import json
import re
import unittest

from harness import smtp_client
from harness.forms import multipart, request, talk
from harness.gateway import member, toml
from harness.mail import FRONT, address, find_traces, header_of, ids, message
from harness.ports import free_port
from harness.sink import Sink
from harness.story import Stage, Story, phantoms_in

SALES, SUPPORT = "sales@school.example", "support@school.example"
INSIDE = "corp.inside"
ANNA, BRUNO, CARLA = "anna.i@" + INSIDE, "bruno.j@" + INSIDE, "carla.k@" + INSIDE
DAISY, EMIL = "daisy.c@flowers.test", "emil-d@engines.test"
THIEF = "thief@outside.test"
FORM = {"Origin": "https://www.school.example", "Accept-Language": "en"}

ROUTES = toml({"address": [
    {"address": SALES, "display_name": "Sales", "direct": False, "share_replies": True,
     "member": [member(ANNA), member(BRUNO)]},
    {"address": SUPPORT, "display_name": "Support", "direct": False, "form": True, "form_code": True,
     "member": [member(CARLA)]}]})


class Company(Story):
    @classmethod
    def prepare(cls, space):
        people = {ANNA: "Anna", BRUNO: ("Bruno", {"reads": "gateway"}), CARLA: "Carla"}
        cls.stage = Stage(space, SALES, ROUTES, people, {DAISY: "Daisy", EMIL: "Emil"})
        hop = cls.stage.gateway.config["next_hop"][0]
        cls.outside = Sink(space).start()  # the way to the internet
        cls.stage.gateway.config["next_hop"] = [
            {**hop, "name": "inside", "domains": [INSIDE], "inside": True},
            {**hop, "name": "engines", "domains": ["engines.test"]},  # the same Postfix
            {**hop, "name": "outside", "domains": ["*"], "port": cls.outside.port}]
        cls.form = free_port()
        cls.stage.gateway.config["listen"] += [{"face": "form", "address": "127.0.0.1", "port": cls.form}]
        cls.stage.gateway.merge({"form": {"origins": [FORM["Origin"]], "min_time": "0s"}})
        cls.stage.start()
        cls.stage.gateway.settle(SUPPORT)
        cls.anna, cls.bruno, cls.carla = cls.stage.all([ANNA, BRUNO, CARLA])
        cls.daisy, cls.emil = cls.stage.all([DAISY, EMIL])

    def setUp(self):
        self.outside.clear()

    def never(self):
        return "a" * 16 + "@p.school.example"

    def from_outside(self, sender, to, data, source="127.0.0.3"):
        """Straight to port 25, from an address that nobody trusts."""
        return smtp_client.send(self.stage.gateway.inbound, sender, to, data, source=source)

    # A day at work

    def test_1_customers_write_and_are_answered(self):
        self.daisy.writes(SALES, "Roses", "Do you buy roses?")
        self.emil.writes(SUPPORT, "Engine", "It does not start.")
        self.assertEqual(self.outside.messages, [], "inside mail goes to the inside's own next hop")
        self.anna.answers_by_program(self.anna.finds("buy roses"), "Red ones.")
        answer, = self.outside.wait_messages(1)
        self.assertEqual((answer.recipients, address(answer.data)), ([DAISY], SALES))
        self.assertEqual(find_traces(answer.header, [*self.anna.traces(), *self.bruno.traces(), "p.school.example"]), [])
        # Bruno has what Anna wrote, and goes on.
        self.outside.clear()
        self.bruno.answers_by_program(self.bruno.finds("Red ones."), "And white ones.")
        answer, = self.outside.wait_messages(1)
        self.assertEqual((answer.recipients, address(answer.data)), ([DAISY], SALES))
        self.anna.finds("And white ones.")

    def test_2_customers_are_reached_by_phantoms_only(self):
        for target in (DAISY, "somebody@else.test", CARLA):
            self.assertReply(self.anna.submits(target, message(ANNA, target)), 550, "5.7.1")
        for public in (SALES, SUPPORT):
            self.stage.accepted(self.anna.submits(public, message(ANNA, public, "Inside", f"Lunch with {public}?\r\n")))
        for person in (self.bruno, self.carla):
            lunch = person.finds("Lunch with")
            self.assertRegex(address(lunch), r"^[0-9a-z]{16}@p\.school\.example$", "a colleague is a phantom, too")
        self.assertEqual(self.outside.messages, [])

    def test_3_the_outside_reaches_no_inside_address(self):
        refused = self.from_outside(THIEF, "nobody.there@" + INSIDE, message(THIEF, ANNA))
        self.assertReply(refused, 550)
        for target in (ANNA, BRUNO, CARLA, ANNA.upper(), f'"anna.i"@{INSIDE}'):
            for sender in (THIEF, BRUNO, "", SALES):
                self.assertEqual(self.from_outside(sender, target, message(THIEF, target)), refused, "who exists cannot be told")
                self.assertEqual(self.stage.vouched(sender or THIEF, target, message(THIEF, target)), refused)
        self.assertEqual(self.outside.messages, [])

    def form_token(self):
        return json.loads(talk(self.form, request("GET", f"/form/{SUPPORT}/token", FORM)).content)["token"]

    def asks_for_a_code(self, visitor, token):
        kind, content = multipart({"email": visitor, "message": "Hello", "_token": token}.items())
        answer = talk(self.form, request("POST", f"/form/{SUPPORT}", {**FORM, "Content-Type": kind}, content))
        return answer.status, answer.code, answer.text.replace(visitor, "VISITOR")

    def test_3_nor_by_the_code_of_a_web_form(self):
        token = self.form_token()
        before = [len(person.inbox()) for person in (self.anna, self.bruno, self.carla)]
        refused = self.asks_for_a_code("nobody.there@" + INSIDE, token)
        self.assertEqual(refused[:2], (400, "bad_email"))
        for target in (ANNA, BRUNO, CARLA, ANNA.upper()):
            self.assertEqual(self.asks_for_a_code(target, token), refused, "who exists cannot be told")
        self.assertEqual([len(person.inbox()) for person in (self.anna, self.bruno, self.carla)], before)

    # One PC is stolen

    def loot(self):
        """All that is on Anna's PC: her whole mailbox, and every address that stands anywhere in it."""
        mailbox = self.anna.inbox()
        text = b"\n".join(mailbox).decode("latin-1")
        everything = set(re.findall(r"[A-Za-z0-9._=+-]+@[A-Za-z0-9.-]+[A-Za-z]", text)) | {ANNA, BRUNO, CARLA, SALES}
        return mailbox, sorted(everything)

    def test_4_what_was_stolen_names_nobody(self):
        mailbox, everything = self.loot()
        self.assertGreaterEqual(len(mailbox), 2)
        self.assertTrue(phantoms_in(b"\n".join(mailbox)))
        self.assertEqual(self.stage.seen_of(self.anna, [self.daisy, self.emil, self.bruno, self.carla]), [])
        domains = {a.split("@")[1].lower() for a in everything}
        self.assertLessEqual(domains, {"p.school.example", "school.example", INSIDE, "mx.provider.test"})

    def test_5_outside_it_is_worth_nothing(self):
        """Written to from anywhere, as anybody: only the public address takes mail, and hands it to the same people."""
        _, everything = self.loot()
        worthless = [a for a in everything if a not in (SALES, SUPPORT)]
        self.assertGreater(len(worthless), 3)
        forged = (f"Authentication-Results: {FRONT}; dmarc=pass header.from={INSIDE}\r\n"
                  f"Received: from pc by {FRONT}; Thu, 01 Jan 2026 10:51:00 +0900\r\n").encode()
        for target in worthless:
            for author in (THIEF, ANNA):
                for before in (b"", forged):
                    reply = self.from_outside(author, target, before + message(author, target))
                    self.assertReply(reply, 550, msg=f"{author} → {target}")
            # By the mail system in front, whose own word is about the thief's domain and not about Anna's.
            self.assertReply(self.stage.vouched(THIEF, target, message(ANNA, target)), 550)
            self.assertReply(self.stage.vouched(THIEF, target, forged + message(ANNA, target)), 550)
        # The same through the real one, which has to give all of it back.
        stolen = [a for a in worthless if a.endswith("@p.school.example") and len(a.split("@")[0]) == 16]
        for phantom in stolen:
            self.stage.through_front(EMIL, phantom, forged + message(ANNA, phantom))
        returned = self.emil.inbox()
        self.assertEqual(len(returned), len(stolen))
        self.assertTrue(all(b"550 5.1.1" in data and b"No such user here" in data for data in returned))
        self.assertEqual(self.outside.messages, [])

    def test_6_bounce_addresses_lead_nowhere(self):
        before = [len(person.inbox()) for person in (self.anna, self.bruno, self.carla)]
        _, everything = self.loot()
        bounces = [a for a in everything if re.match(r"b[0-9a-z]{26}@p\.", a)]
        self.assertTrue(bounces)
        for target in bounces:
            reply = self.from_outside("", target, message(f"MAILER-DAEMON@{INSIDE}", target, "Undelivered"))
            self.assertReply(reply, 250)  # taken, as bounces are, and told to nobody
        self.assertEqual([len(person.inbox()) for person in (self.anna, self.bruno, self.carla)], before)
        self.assertEqual(self.outside.messages, [])

    def test_7_inside_it_is_worth_nothing(self):
        """Another insider has the list: a colleague behind the same address, and one behind another."""
        mailbox, _ = self.loot()
        stolen = sorted(p.decode() for p in phantoms_in(b"\n".join(mailbox)))
        unknown = self.bruno.submits(self.never(), message(BRUNO, self.never()))
        self.assertReply(unknown, 550, "5.1.1")
        for phantom in stolen:
            for insider in (self.bruno, self.carla):
                for author in (insider.mailbox, ANNA, SALES):
                    self.assertEqual(insider.submits(phantom, message(author, phantom)), unknown)
                    self.assertEqual(self.stage.vouched(insider.mailbox, phantom, message(insider.mailbox, phantom)), unknown)
                # Together with one of one's own, which would be served.
                own = address(insider.finds("buy roses" if insider is self.bruno else "does not start"))
                self.assertEqual(insider.submits([own, phantom], message(insider.mailbox, own)), unknown)
            # The same person from another mailbox.
            self.assertEqual(self.stage.vouched("anna@home.test", phantom, message("anna@home.test", phantom)), unknown)
        self.assertEqual(self.outside.messages, [])

    def test_8_even_with_the_saved_password(self):
        """Who has it may write as Anna until she is forgotten, and learns nobody's address by it."""
        phantom = address(self.anna.finds("buy roses"))
        taken = ids(self.anna.finds("buy roses"), "Message-ID")[0]
        self.stage.accepted(self.anna.submits(phantom, message(ANNA, f"{phantom}, {ANNA}", "x", extra=f"Cc: {BRUNO}")))
        for data in (*self.anna.inbox_through_gateway(), *self.bruno.inbox_through_gateway()):
            self.assertEqual(find_traces(header_of(data), [*self.daisy.traces(), *self.emil.traces()]), [])
        # Ids that she has are sealed: quoted by another member they open to nobody.
        self.outside.clear()
        own = address(self.bruno.finds("buy roses"))
        self.stage.accepted(self.bruno.submits(own, message(BRUNO, own, "Re: x", extra=f"References: <{taken}>")))
        carried, = self.outside.wait_messages(1)
        self.assertNotIn(ids(self.daisy.sent[0], "Message-ID")[0], ids(carried.data, "References"))
        self.outside.clear()
        self.assertEqual(self.stage.gateway.forget(SALES, ANNA).returncode, 0)
        self.assertReply(self.anna.submits(phantom, message(ANNA, phantom)), 5)
        self.assertReply(self.stage.vouched(ANNA, phantom, message(ANNA, phantom)), 550, "5.1.1")
        self.daisy.writes(SALES, "Tulips", "Do you buy tulips?")
        self.bruno.finds("buy tulips")
        self.anna.has_nothing_with("buy tulips")
        self.assertEqual(self.outside.messages, [])

    def test_9_no_mail_system_tells_by_the_form_whom_it_knows(self):
        token = self.form_token()
        asked = self.asks_for_a_code("nobody.there@engines.test", token)
        self.assertEqual(asked[:2], (428, "code"))
        self.assertEqual(self.asks_for_a_code(EMIL, token), asked)
        self.emil.finds("If it was you, enter this code in the form")
        self.assertIn("User unknown", self.stage.postfix.text(), "it was refused, and nobody learned of it")


if __name__ == "__main__":
    unittest.main(verbosity=2)
