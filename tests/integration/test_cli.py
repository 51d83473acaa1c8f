"""apply, show, forget, check and hash-password, as an operator uses them (contract R9.1, R9.2)."""

import json
import os
import signal
import subprocess
import unittest

from harness import smtp_client
from harness.certificates import Authority
from harness.faulty_upstream import FaultyUpstream
from harness.gateway import Gateway, member, program, routes
from harness.mail import address, message
from harness.ports import free_port
from harness.proxied import add_faces, provider
from harness.sink import Sink
from harness.small import COACH, OFFICER, PUBLIC, STRANGER, TEACHER, Small, front_fields
from harness.case import Case
from harness.workspace import run


class Commands(Small):
    def setUp(self):
        super().setUp()
        self.gateway.apply(self.routes())

    def reached(self):
        """What the stranger's next message reaches."""
        self.sink.clear()
        self.assertReply(self.inbound(message(STRANGER, PUBLIC)), 250)
        return sorted(m.recipients[0] for m in self.sink.messages)

    def test_apply_twice_changes_nothing(self):
        before = self.gateway.show().stdout
        again = self.gateway.apply(self.routes())
        self.assertEqual(self.gateway.show().stdout, before)
        self.assertNotIn(OFFICER, again.stdout)

    def test_a_dry_run_shows_and_does_nothing(self):
        before = self.gateway.show().stdout
        result = self.gateway.apply(self.routes([OFFICER, COACH]), "--dry-run")
        self.assertIn(COACH, result.stdout)
        self.assertIn(TEACHER, result.stdout)
        self.assertEqual(self.gateway.show().stdout, before)
        self.assertEqual(self.reached(), sorted([OFFICER, TEACHER]))

    def test_a_password_hash_is_never_shown(self):
        for result in (self.gateway.show(), self.gateway.show("--format", "json"),
                       self.gateway.apply(self.routes([COACH]), "--dry-run")):
            self.assertNotIn("$scrypt$", result.stdout + result.stderr)

    def test_members_are_not_removed_unasked(self):
        # Standard input is not a terminal here.
        result = self.gateway.apply(self.routes([OFFICER]), yes=False, check=False)
        self.assertEqual(result.returncode, 3)
        self.assertEqual(self.reached(), sorted([OFFICER, TEACHER]))
        self.gateway.apply(self.routes([OFFICER]), "--yes")
        self.assertEqual(self.reached(), [OFFICER])

    def test_csv_of_a_spreadsheet(self):
        text = ("\ufeffaddress,display_name,mailbox,name,recipients\r\n"
                f'{PUBLIC},"PTA, committee",{OFFICER},"Hanako ""H""",private\r\n'
                f"{PUBLIC},,{COACH},,\r\n"
                f"club@school.example,Club,{TEACHER},,open\r\n")
        self.gateway.apply(text, suffix="csv")
        shown = json.loads(self.gateway.show("--format", "json").stdout)
        self.assertIn(COACH, json.dumps(shown))
        self.gateway.settle("club@school.example")
        self.assertEqual(self.reached(), sorted([COACH, OFFICER]))

    def test_show_one_address(self):
        self.gateway.apply(routes({PUBLIC: [OFFICER], "club@school.example": [TEACHER]}))
        shown = self.gateway.show("--address", PUBLIC).stdout
        self.assertIn(OFFICER, shown)
        self.assertNotIn(TEACHER, shown)
        self.assertEqual(self.gateway.show("--address", "nobody@school.example").returncode, 1)

    def test_many_rows(self):
        rows = {f"class{n}@school.example": [f"parent{n}a@gmail.test", f"parent{n}b@gmail.test"] for n in range(2000)}
        result = self.gateway.apply(routes({PUBLIC: [OFFICER], **rows}))
        self.assertIn("4001", (result.stdout + result.stderr).replace(",", ""))
        self.gateway.settle("class1999@school.example")
        self.assertEqual(self.reached(), [OFFICER])

    def test_bad_routes_are_refused_with_their_place(self):
        for name, text, expected in (
                ("syntax", "[[address]\n", ":1"),
                ("unknown key", routes({PUBLIC: [OFFICER]}) + 'colour = "red"\n', "colour"),
                ("not an address", routes({"no at sign": [OFFICER]}), "no at sign"),
                ("twice", routes({PUBLIC: [OFFICER, OFFICER]}), OFFICER),
                ("bad policy", routes({PUBLIC: [OFFICER]}, recipients="shown"), "recipients"),
                ("bad hash", routes({PUBLIC: [member(OFFICER, password_hash="secret")]}), "password_hash")):
            with self.subTest(name):
                result = self.gateway.apply(text, check=False)
                self.assertEqual(result.returncode, 2, result.stdout + result.stderr)
                self.assertIn(expected, result.stderr)
                self.assertIn("routes.toml", result.stderr)
        self.assertEqual(self.reached(), sorted([OFFICER, TEACHER]))

    def test_forget_somebody_unknown(self):
        for arguments in ((PUBLIC, "nobody@gmail.test"), ("nobody@school.example", None)):
            result = self.gateway.forget(*arguments)
            self.assertEqual(result.returncode, 1, result.stdout + result.stderr)

    def test_forget_a_whole_address(self):
        phantom = self.phantom_of(STRANGER, OFFICER)
        self.assertEqual(self.gateway.forget(PUBLIC).returncode, 0)
        # The login itself may still be known for a moment; the phantom is not.
        self.assertReply(self.submit(OFFICER, phantom, message(OFFICER, phantom)), 5)
        reply = self.inbound(message(STRANGER, PUBLIC))
        if reply.code == 451:  # a message that was begun with the old routes is to come again
            reply = self.inbound(message(STRANGER, PUBLIC))
        self.assertReply(reply, 550, "5.1.1")
        self.assertEqual(self.sink.messages, [])

    def test_the_last_member_is_forgotten(self):
        self.assertNotIn("Nobody", self.gateway.forget(PUBLIC, TEACHER).stdout)
        self.assertIn("Nobody stands behind " + PUBLIC, self.gateway.forget(PUBLIC, OFFICER).stdout)
        self.assertReply(self.inbound(message(STRANGER, PUBLIC)), 450)
        self.assertEqual(self.sink.messages, [])
        result = self.gateway.check()
        self.assertEqual(result.returncode, 1, result.stdout)
        self.assertIn(PUBLIC + ": nobody stands behind it", result.stdout)

    def test_who_waits_for_redis_says_so(self):
        redis = int(self.gateway.wait_event("redis.started")["pid"])
        os.kill(redis, signal.SIGSTOP)
        try:
            show = subprocess.Popen([program(), "show", "--config", self.gateway.config_path], stdout=subprocess.PIPE,
                                    stderr=subprocess.PIPE, text=True)
            folder = os.path.join(self.gateway.state, "redis")
            self.assertEqual(show.stderr.readline(),
                             f"kagemusha: waiting for the Redis in {folder} to answer, for 60 seconds at most\n")
        finally:
            os.kill(redis, signal.SIGCONT)
        shown, told = show.communicate(timeout=60)
        self.assertEqual((show.returncode, told), (0, ""))
        self.assertIn(PUBLIC, shown)
        self.until_delivered(message(STRANGER, PUBLIC, message_id="after-the-wait@stranger.test"))

    def test_a_second_process_does_not_share_the_ports_of_the_first(self):
        second = Gateway(self.space, name="second", next_hop_port=self.sink.port)
        second.config["listen"] = [dict(face="inbound", address="127.0.0.1", port=self.gateway.inbound)]
        second.write_config()
        result = second.command("serve", "--config", second.config_path)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn(f"cannot listen on 127.0.0.1:{self.gateway.inbound}", result.stdout + result.stderr)

    def test_check(self):
        result = self.gateway.check()
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.sink.stop()
        try:
            result = self.gateway.check()
            self.assertEqual(result.returncode, 1, result.stdout)
        finally:
            self.sink.start()
        bad = self.space.write("bad-routes.toml", "[[address]\n")
        self.assertNotEqual(self.gateway.check("--routes", bad).returncode, 0)

    def test_passwords_are_salted(self):
        one, two = self.gateway.hash_password("secret"), self.gateway.hash_password("secret")
        self.assertRegex(one, r"^\$scrypt\$ln=\d+,r=\d+,p=\d+\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+$")
        self.assertNotEqual(one, two)


class Usage(Case):
    def test_help_and_version(self):
        self.assertRegex(run([program(), "--version"]).stdout, r"\d+\.\d+\.\d+")
        for command in ([], ["serve"], ["apply"], ["show"], ["forget"], ["phantoms"], ["check"], ["hash-password"]):
            result = run([program(), *command, "--help"])
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertGreater(len(result.stdout), 100, command)

    def test_wrong_usage(self):
        for arguments in (["fly"], ["serve", "--no-such"], ["apply"], ["forget"], ["phantoms"], []):
            result = run([program(), *arguments])
            self.assertEqual(result.returncode, 2, (arguments, result.stdout, result.stderr))

    def test_wrong_configuration(self):
        for name, text, expected in (
                ("no file", None, "kagemusha.toml"),
                ("syntax", "[server\n", ":1"),
                ("unknown key", '[server]\nhostname = "a.example"\ncolour = "red"\n', ":3"),
                ("unknown section", "[sever]\n", "sever"),
                ("wrong type", "[server]\nhostname = 5\n", ":2"),
                ("no hostname", "[server]\nworkers = 1\n", "hostname"),
                ("bad duration", '[server]\nhostname = "a.example"\nstop_timeout = "soon"\n', ":3")):
            with self.subTest(name):
                path = self.space.join(name, "kagemusha.toml")
                if text is not None:
                    self.space.write(f"{name}/kagemusha.toml", text)
                result = run([program(), "serve", "--config", path])
                self.assertEqual(result.returncode, 2, result.stdout + result.stderr)
                self.assertIn(expected, result.stderr)

    def test_a_certificate_that_is_gone_stops_no_forget(self):
        path = self.space.write("no certificate/kagemusha.toml", '[server]\nhostname = "a.example"\n[redis]\n'
                                'unix = "/nonexistent/redis"\n[[tls.certificate]]\ncertificate = "gone.pem"\nkey = "gone.key"\n')
        serve = run([program(), "serve", "--config", path])
        self.assertEqual((serve.returncode, "there is no such file" in serve.stderr), (2, True), serve.stderr)
        forget = run([program(), "forget", "--config", path, "--address", "pta@school.example", "--yes"])
        self.assertEqual(forget.returncode, 1, "it is Redis that is missing: " + forget.stderr)
        self.assertNotIn("gone", forget.stderr)

    def test_a_redis_that_is_away_is_named(self):
        for name, redis, place, code in (
                ("host", 'host = "127.0.0.1"\nport = 9', "127.0.0.1:9", "ECONNREFUSED"),
                ("name", 'host = "redis.invalid"', "redis.invalid:6379", "name lookup: "),
                ("unix", 'unix = "/nonexistent/redis"', "/nonexistent/redis", "ENOENT"),
                ("sentinels", 'sentinels = ["127.0.0.1:9", "127.0.0.1:1"]\nsentinel_master = "m"',
                 "sentinels 127.0.0.1:9 127.0.0.1:1", "ECONNREFUSED"),
                ("cluster", 'cluster = ["127.0.0.1:9"]', "cluster 127.0.0.1:9", "ECONNREFUSED")):
            with self.subTest(name):
                path = self.space.write(f"redis {name}/kagemusha.toml",
                                        f'[server]\nhostname = "a.example"\n[redis]\n{redis}\n')
                result = run([program(), "show", "--config", path])
                self.assertEqual(result.returncode, 1)
                self.assertIn(f"kagemusha: Redis at {place}: {code}", result.stderr)
                self.assertIn("; is it running? See [redis]", result.stderr)

    def test_a_port_that_is_taken(self):
        sink = Sink(self.space).start()
        gateway = Gateway(self.space, name="taken", next_hop_port=sink.port)
        gateway.config["listen"][0]["port"] = sink.port
        gateway.write_config()
        result = gateway.command("serve", "--config", gateway.config_path)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn(str(sink.port), result.stdout + result.stderr)


class Providers(Case):
    """What `check` says about providers; nobody has to serve for it."""

    def lines(self, name, **more):
        authority = Authority(self.space, name=name)
        secured = FaultyUpstream(self.space, authority, {}).start()
        plain = FaultyUpstream(self.space, authority, {})
        plain.context = None
        plain.start()
        self.addCleanup(plain.stop)
        self.addCleanup(secured.stop)
        certificate = authority.issue("mx.school.example", "localhost", file=f"{name}-mx")
        gateway = Gateway(self.space, name=name, next_hop_port=free_port(), certificate=certificate)
        add_faces(gateway)
        gateway.config["provider"] = [{**provider(authority, secured.imaps, plain.pop3s, ["gmail.test"]),
                                       "imap_host": "127.0.0.1", "imap_port": plain.imaps,
                                       "pop3_host": "127.0.0.1", **more}]
        gateway.write_config()
        result = gateway.check()
        self.assertEqual(result.stderr, "")
        return {line.split(" at ")[0] for line in result.stdout.splitlines() if "provider" in line}

    def test_a_provider_on_this_machine_without_tls(self):
        self.assertEqual(self.lines("none", imap_tls="none", pop3_tls="none"),
                         {"ok    provider provider", "ok    provider provider (imap)", "ok    provider provider (pop3)"})

    def test_tls_where_there_is_none(self):
        self.assertEqual(self.lines("implicit"),
                         {"ok    provider provider", "FAIL  provider provider (imap)", "FAIL  provider provider (pop3)"})


class FirstRun(Case):
    """apply before serve, embedded Redis: nothing is there yet."""

    def test_apply_then_serve(self):
        sink = Sink(self.space).start()
        gateway = Gateway(self.space, next_hop_port=sink.port)
        gateway.apply(routes({PUBLIC: [OFFICER]}))
        self.assertEqual(os.stat(gateway.key_path).st_mode & 0o777, 0o600)
        gateway.start()
        self.assertReply(smtp_client.send(gateway.inbound, STRANGER, PUBLIC, message(STRANGER, PUBLIC)), 250)
        phantom = address(sink.messages[0].data)
        # Embedded Redis keeps what it has through a kill of everything: whom the phantom stands for, too.
        gateway.kill()
        gateway.start()
        reply = front_fields(OFFICER) + message(OFFICER, phantom)
        self.assertReply(smtp_client.send(gateway.inbound, OFFICER, phantom, reply), 250)
        self.assertEqual(sink.messages[1].recipient, STRANGER)
        self.assertReply(smtp_client.send(gateway.inbound, STRANGER, PUBLIC, message(STRANGER, PUBLIC)), 250)
        self.assertEqual(address(sink.messages[2].data), phantom)


NOBODY = 65534


class Owners(Case):
    """Files that another user left, or that nobody has made yet."""

    def setUp(self):
        self.gateway = Gateway(self.space, next_hop_port=9, name=self._testMethodName[5:15])
        self.gateway.write_config()
        os.chmod(self.gateway.config_path, 0o644)
        self.file = self.space.write(f"{self.gateway.name}/routes.toml", routes({PUBLIC: [OFFICER]}))

    def ask(self, *arguments, user=None):
        return run([program(), *arguments, "--config", self.gateway.config_path], cwd=self.gateway.folder, user=user)

    def test_secrets_that_every_user_may_read(self):
        certificate, key = Authority(self.space, name="secrets").issue("mx.school.example")
        password = self.space.write("password", "secret\n", mode=0o640)
        self.gateway.config["tls"] = {"certificate": [{"certificate": certificate, "key": key}]}
        self.gateway.config["redis"] = {"unix": "/nonexistent/redis", "password_file": password}
        self.gateway.write_config()
        result = self.ask("check")
        self.assertIn(f"ok    secret in {key}", result.stdout)
        self.assertIn(f"ok    secret in {password}", result.stdout)
        os.chmod(key, 0o644)
        os.chmod(password, 0o644)
        result = self.ask("check")
        self.assertIn(f"FAIL  secret in {key}: every user may read it; chmod o= {key}", result.stdout)
        self.assertIn(f"FAIL  secret in {password}: every user may read it", result.stdout)
        self.gateway.config["redis"] = {"unix": "/nonexistent/redis", "password": "secret"}
        self.gateway.write_config()
        os.chmod(self.gateway.config_path, 0o644)
        self.assertIn(f"FAIL  secret in {self.gateway.config_path}: every user", self.ask("check").stdout)
        if os.geteuid() == 0:
            os.chmod(key, 0o600)
            result = self.ask("serve", user=NOBODY)
            self.assertIn(f'tls.certificate.key: found "{key}" (nobody may not read it)', result.stderr)

    def test_check_makes_nothing(self):
        before = sorted(os.listdir(self.gateway.folder))
        result = self.ask("check")
        self.assertIn("state folder " + self.gateway.state + ": not there yet", result.stdout)
        self.assertIn("Redis: embedded; the first serve or apply starts it", result.stdout)
        self.assertEqual(sorted(os.listdir(self.gateway.folder)), before)

    @unittest.skipUnless(os.geteuid() == 0, "needs another user")
    def test_a_folder_that_cannot_be_made(self):
        for command in (["apply", self.file], ["check"], ["serve"]):
            result = self.ask(*command, user=NOBODY)
            self.assertEqual(result.returncode, 1, result.stderr)
            self.assertIn(f"{self.gateway.state}: Permission denied; it has to belong to nobody, who runs this, and "
                          f"{self.gateway.folder} belongs to root", result.stdout + result.stderr, command)

    @unittest.skipUnless(os.geteuid() == 0, "needs another user")
    def test_what_root_left_behind(self):
        os.mkdir(self.gateway.state, 0o700)
        hint = "it belongs to root and has to belong to nobody, who runs this"
        for command in (["apply", self.file], ["check"], ["serve"]):
            result = self.ask(*command, user=NOBODY)
            self.assertEqual(result.returncode, 1, result.stderr)
            self.assertIn(f"{self.gateway.state}: not our folder; {hint}", result.stdout + result.stderr, command)
        os.chown(self.gateway.state, NOBODY, NOBODY)
        os.mkdir(f"{self.gateway.state}/redis", 0o700)
        os.chown(f"{self.gateway.state}/redis", NOBODY, NOBODY)
        left = f"{self.gateway.state}/redis/appendonlydir"
        os.mkdir(left, 0o700)
        for command in (["apply", self.file], ["serve"]):
            result = self.ask(*command, user=NOBODY)
            self.assertEqual(result.returncode, 1, result.stderr)
            self.assertIn(f"{left}: not our file; {hint}", result.stderr, command)
        os.rmdir(left)
        key = self.space.write(self.gateway.key_path, "a" * 64, mode=0o600)
        result = self.ask("apply", self.file, user=NOBODY)
        self.assertIn(f"{key}: cannot be opened; {hint}", result.stderr)

    @unittest.skipUnless(os.geteuid() == 0, "needs another user")
    def test_root_leaves_nothing_in_another_users_folder(self):
        os.mkdir(self.gateway.state, 0o700)
        os.chown(self.gateway.state, NOBODY, NOBODY)
        for command in (["apply", self.file], ["apply", "--dry-run", self.file], ["check"], ["show"], ["serve"]):
            result = self.ask(*command)
            self.assertEqual(result.returncode, 1, result.stderr)
            self.assertIn("it belongs to nobody and has to belong to root, who runs this", result.stdout + result.stderr)
        self.assertEqual(os.listdir(self.gateway.state), [])
        self.assertEqual(self.ask("apply", self.file, user=NOBODY).returncode, 0)
        self.assertIn("1 member", self.ask("show", user=NOBODY).stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
