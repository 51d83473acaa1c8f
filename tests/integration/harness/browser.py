"""Chromium without a window, driven by chromedriver's WebDriver protocol (W3C); None of it where they are not installed."""

import json
import os
import shutil
import subprocess
import urllib.error
import urllib.request

from .ports import free_port
from .waiting import wait_for

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # W3C WebDriver §12.1


def installed():
    return bool(shutil.which("chromium") and shutil.which("chromedriver"))


class Browser:
    def __init__(self, space):
        self.port = free_port()
        home = space.folder("browser")
        self.log = open(space.join("chromedriver.log"), "wb")
        self.driver = subprocess.Popen(["chromedriver", f"--port={self.port}"], stdout=self.log, stderr=self.log,
                                       env={**os.environ, "HOME": home}, start_new_session=True)
        self.session = None
        space.add(self)
        wait_for(self._is_up, 30, "chromedriver")
        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                     "--disable-background-networking", "--disable-component-update", "--disable-extensions",
                     f"--user-data-dir={home}/profile"]
        made = self._call("POST", "/session", {"capabilities": {"alwaysMatch": {
            "acceptInsecureCerts": True, "goog:chromeOptions": {"args": arguments}}}})
        self.session = made["sessionId"]
        self.agent = self.run("return navigator.userAgent")

    def _is_up(self):
        if self.driver.poll() is not None:
            raise AssertionError("chromedriver ended")
        try:
            return self._call("GET", "/status")["ready"]
        except OSError:
            return False

    def _call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, {"Content-Type": "application/json"},
                                         method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.read().decode()[:1000]}") from None

    def call(self, method, path, body=None):
        return self._call(method, f"/session/{self.session}{path}", body)

    def stop(self):
        if self.session:
            self.call("DELETE", "")
            self.session = None
        self.driver.terminate()
        self.driver.wait(20)
        self.log.close()

    # What a person does

    def speak(self, language):
        """The languages that the browser asks for from now on."""
        self.call("POST", "/goog/cdp/execute", {"cmd": "Emulation.setUserAgentOverride",
                                                "params": {"userAgent": self.agent, "acceptLanguage": language}})

    def open(self, url):
        self.call("POST", "/url", {"url": url})

    def url(self):
        return self.call("GET", "/url")

    def run(self, script, *arguments):
        return self.call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def find(self, css):
        return self.call("POST", "/element", {"using": "css selector", "value": css})[ELEMENT]

    def type(self, css, text):
        self.call("POST", f"/element/{self.find(css)}/value", {"text": text})

    def click(self, css):
        self.call("POST", f"/element/{self.find(css)}/click", {})

    def text(self, css):
        return self.call("GET", f"/element/{self.find(css)}/text")
