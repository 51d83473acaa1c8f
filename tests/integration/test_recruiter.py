"""A recruiter behind one address: applicants write, are answered, and are nowhere collected; in the end they are forgotten."""

import unittest

from harness.gateway import member, toml
from harness.mail import address, body_of, field, find_traces, header_of, ids, message
from harness.story import Stage, Story, utf8

JOBS = "jobs@school.example"
RECRUITER = "r.sakamoto@gmail.test"
ALICE, BOB, CHIYO = "alice.w@wonder.test", "bob_77@builder.test", "chiyo.n@nippon.test"
APPLICANTS = {ALICE: "Alice Wonder", BOB: "Bob Builder", CHIYO: "Chiyo Nippon"}

ROUTES = toml({"address": [{"address": JOBS, "display_name": "Recruiting", "name": "hide",
                            "member": [member(RECRUITER, name="Sakamoto, Recruiting")]}]})


class Recruiter(Story):
    @classmethod
    def prepare(cls, space):
        cls.stage = Stage(space, JOBS, ROUTES, {RECRUITER: ("Sakamoto", {"folds": True})}, APPLICANTS)
        cls.stage.start()
        cls.desk = cls.stage.people[RECRUITER]
        cls.applicants = cls.alice, cls.bob, cls.chiyo = cls.stage.all(APPLICANTS)

    def test_1_applicants_write(self):
        for number, applicant in enumerate(self.applicants):
            applicant.writes(JOBS, f"Application {number}", f"My curriculum, number {number}.",
                             extra=f"Reply-To: {applicant.name} <{applicant.mailbox}>\nOrganization: {applicant.domain}\n"
                                   f"Cc: {utf8(applicant.name + ' ' + applicant.mailbox)} <{applicant.mailbox}>")
        for number in range(3):
            application = self.desk.finds(f"number {number}.")
            self.assertRegex(field(application, "From"), r"^[0-9a-z]{16}@p\.school\.example$", "no name either")
            self.assertEqual(address(application), address(application, "Reply-To"))

    def test_2_the_desk_answers_from_its_web_mail_and_from_a_program(self):
        self.desk.answers_by_web_mail(self.desk.finds("number 0."), "Please come on Monday.")
        self.desk.answers_by_program(self.desk.finds("number 1."), "We regret.")
        for applicant, text in ((self.alice, "Please come on Monday."), (self.bob, "We regret.")):
            answer = applicant.finds(text)
            self.assertEqual(field(answer, "From").split(" <")[1], JOBS + ">")
            self.assertEqual(ids(answer, "In-Reply-To"), ids(applicant.sent[0], "Message-ID"))
        self.alice.answers(self.alice.finds("Please come on Monday."), "I come.")
        self.assertEqual(address(self.desk.finds("I come.")), address(self.desk.finds("number 0.")))

    def test_3_the_desk_writes_to_several_and_none_sees_another(self):
        book = [address(self.desk.finds(f"number {number}.")) for number in range(3)]
        self.stage.accepted(self.desk.submits(book, message(
            RECRUITER, ", ".join(book), "Kyoto", "The office moves to Kyoto.\r\n", message_id="kyoto@gmail.test")))
        for applicant in self.applicants:
            self.assertEqual(address(applicant.finds("moves to Kyoto"), "To"), applicant.mailbox)

    def test_4_applicants_are_nowhere_collected(self):
        self.assertNobodyIsSeen(self.stage, [self.desk], self.applicants)
        self.assertNobodyIsSeen(self.stage, self.applicants, [self.desk, *self.applicants])
        for data in self.stage.dovecot.messages(RECRUITER):
            names = {applicant.name for applicant in self.applicants}
            self.assertEqual(find_traces(header_of(data), names), [])
            self.assertTrue(body_of(data))
        kept = self.stage.at_rest()
        phantom = address(self.desk.finds("number 0.")).split("@")[0].encode()
        self.assertTrue(any(phantom in octets for octets in kept.values()), "Redis' files were looked at")
        self.assertEqual(self.stage.kept_of([*self.applicants, self.desk]), [])
        self.assertNotIn("Application", self.stage.gateway.log())

    def test_5_forgotten(self):
        phantoms = [address(self.desk.finds(f"number {number}.")) for number in range(3)]
        never = self.stage.vouched(RECRUITER, "a" * 16 + "@p.school.example", message(RECRUITER, JOBS))
        result = self.stage.gateway.forget(JOBS, RECRUITER)
        self.assertEqual(result.returncode, 0, result.stderr)
        for phantom in phantoms:
            self.assertEqual(self.stage.vouched(RECRUITER, phantom, message(RECRUITER, phantom)), never)
            self.assertReply(self.desk.submits(phantom, message(RECRUITER, phantom)), 5)
        # The same desk again is another one: what it kept of the year before leads to nobody.
        self.stage.gateway.apply(ROUTES)
        self.alice.writes(JOBS, "Application 4", "Me again, number 4.")
        self.assertNotIn(address(self.desk.finds("number 4.")), phantoms)
        for phantom in phantoms:
            self.assertEqual(self.stage.vouched(RECRUITER, phantom, message(RECRUITER, phantom)), never)
            self.assertReply(self.desk.submits(phantom, message(RECRUITER, phantom)), 550, "5.1.1")


if __name__ == "__main__":
    unittest.main(verbosity=2)
