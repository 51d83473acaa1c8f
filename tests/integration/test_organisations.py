"""Two organisations on one gateway: to each other they are public addresses, as to any correspondent (contract R3.2, R5.3)."""

import unittest

from harness.gateway import member, toml
from harness.mail import address, field, find_traces, header_of, ids, message
from harness.small import OFFICER, PASSWORD, PUBLIC, STRANGER, TEACHER, Small, _hashes

SALES = "sales@corp.example"
CHAIR = "chair@corp.test"


class Organisations(Small):
    @classmethod
    def routes(cls, members=None):
        text = super().routes(members)
        return text + toml({"address": [{"address": SALES, "display_name": "Corp Sales",
                                         "member": [member(CHAIR, password_hash=_hashes[PASSWORD])]}]})

    def test_a_conversation(self):
        self.assertReply(self.submit(OFFICER, SALES, message(f"Hanako <{OFFICER}>", SALES, "offer?",
                                                             message_id="o1@gmail.test")), 250)
        asked = self.copy_for(CHAIR, self.copies(1)).data
        self.assertEqual(field(asked, "From"), f"PTA committee <{PUBLIC}>")
        self.assertEqual(field(asked, "To"), SALES)
        self.assertEqual(find_traces(header_of(asked), ["Hanako", "gmail", "officer", "o1@"]), [])

        self.assertReply(self.submit(CHAIR, address(asked), message(
            f"Boss <{CHAIR}>", address(asked), "Re: offer?", message_id="c1@corp.test",
            extra=f"In-Reply-To: <{ids(asked, 'Message-ID')[0]}>")), 250)
        copies = self.copies(2)
        for mailbox in (OFFICER, TEACHER):
            copy = self.copy_for(mailbox, copies).data
            self.assertEqual(field(copy, "From"), f"Corp Sales <{SALES}>")
            self.assertEqual(find_traces(header_of(copy), ["Boss", "corp.test", "chair"]), [])
        self.assertEqual(ids(self.copy_for(OFFICER, copies).data, "In-Reply-To"), ["o1@gmail.test"])

    def test_a_mailbox_that_forwards_it_back_is_a_loop(self):
        self.assertReply(self.submit(OFFICER, SALES, message(OFFICER, SALES, "round", message_id="l1@gmail.test")), 250)
        copy = self.copy_for(CHAIR, self.copies(1))
        self.assertReply(self.inbound(copy.data, SALES, copy.sender), 554, "5.4.6")
        self.assertEqual(self.sink.messages, [])

    def test_an_answer_to_all_to_a_stranger_who_wrote_to_both(self):
        self.assertReply(self.inbound(message(STRANGER, f"{PUBLIC}, {SALES}", message_id="s1@stranger.test"),
                                      [PUBLIC, SALES]), 250)
        copies = self.copies(3)
        at_chair, at_teacher = (self.copy_for(m, copies).data for m in (CHAIR, TEACHER))
        phantom = address(at_chair)
        self.assertReply(self.submit(CHAIR, [phantom, PUBLIC], message(
            CHAIR, phantom, "Re: both", message_id="c2@corp.test",
            extra=f"Cc: {PUBLIC}\nIn-Reply-To: <{ids(at_chair, 'Message-ID')[0]}>")), 250)
        copy = self.copy_for(TEACHER, self.copies(3)).data
        self.assertEqual(field(copy, "From"), f"Corp Sales <{SALES}>")
        self.assertEqual(address(copy, "To"), address(at_teacher))
        self.assertEqual(field(copy, "Cc"), PUBLIC)
        self.assertEqual(ids(copy, "In-Reply-To"), ids(at_teacher, "Message-ID"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
