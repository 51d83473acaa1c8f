"""Certificates of an authority that the test makes for itself, with the openssl program."""

import ssl

from .workspace import run


class Authority:
    def __init__(self, space, name="ca"):
        self.space, self.name = space, name
        self.folder = space.folder(name)
        self.key = f"{self.folder}/ca.key"
        self.certificate = f"{self.folder}/ca.pem"
        _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                 "-keyout", self.key, "-out", self.certificate, "-subj", f"/CN=Test authority {name}")

    def issue(self, *names, file=None, days=30):
        """(certificate, key) paths for DNS names and IP addresses. With 0 days it has ended."""
        base = f"{self.folder}/{file or names[0]}"
        san = ",".join(("IP:" if n.replace(".", "").isdigit() or ":" in n else "DNS:") + n for n in names)
        self.space.write(f"{self.name}/{file or names[0]}.ext", f"subjectAltName={san}\n")
        _openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", base + ".key",
                 "-out", base + ".csr", "-subj", f"/CN={names[0]}")
        _openssl("x509", "-req", "-in", base + ".csr", "-CA", self.certificate, "-CAkey", self.key, "-CAcreateserial",
                 "-days", str(days), "-out", base + ".pem", "-extfile", base + ".ext")
        return base + ".pem", base + ".key"

    def client_context(self, verify=True):
        context = ssl.create_default_context(cafile=self.certificate)
        if not verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def serial(certificate):
    return _openssl("x509", "-in", certificate, "-noout", "-serial").strip().split("=")[1]


def _openssl(*arguments):
    result = run(["openssl", *arguments])
    if result.returncode != 0:
        raise RuntimeError(f"openssl {arguments[0]}: {result.stderr}")
    return result.stdout
