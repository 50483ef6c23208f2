"""A real headless Chromium, driven over its debugging pipe: no driver program and no network port."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-background-networking --disable-dev-shm-usage --no-first-run "
    "--disable-extensions --disable-component-update --hide-scrollbars --remote-debugging-pipe about:blank"
)


class Page:
    """One page of a browser of its own. Close it with the ``with`` statement.

    Attributes:
        complaints: Everything the page wrote to the console or that the browser had against it.
        requests: Addresses that the page asked for, beside its own.
    """

    def __init__(self, profile: Path, width: int = 1400, height: int = 900) -> None:
        assert BROWSER is not None, "chromium is not installed"
        to_browser, self._out = os.pipe()
        self._in, from_browser = os.pipe()
        command = [BROWSER, *_FLAGS.split(), f"--user-data-dir={profile}", f"--window-size={width},{height}"]

        def wire() -> None:
            # The browser reads commands from descriptor 3 and answers on 4.
            os.dup2(to_browser, 30)
            os.dup2(from_browser, 31)
            os.dup2(30, 3)
            os.dup2(31, 4)

        self._browser = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, close_fds=False, preexec_fn=wire
        )
        os.close(to_browser)
        os.close(from_browser)
        self._numbers = itertools.count(1)
        self._buffer = b""
        self._session: str | None = None
        self._loaded = False
        self.complaints: list[str] = []
        self.requests: list[str] = []
        target = next(t for t in self._call("Target.getTargets")["targetInfos"] if t["type"] == "page")
        attached = self._call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable")
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._call("Emulation.setDeviceMetricsOverride", **size)

    def __enter__(self) -> Page:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError, TimeoutError):
            self._session = None
            self._call("Browser.close")
        os.close(self._out)
        os.close(self._in)
        self._browser.wait(20)

    def open(self, address: str) -> None:
        """Load a page anew and wait until its scripts have run."""
        for url in ("about:blank", address):  # An address that differs only after its # would not load anew.
            self._loaded = False
            self._call("Page.navigate", url=url)
            deadline = time.monotonic() + 60
            while not self._loaded:
                self._take(deadline)

    def eval(self, script: str) -> Any:
        """Value of a JavaScript expression."""
        answer = self._call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def press(self, key: str) -> None:
        """Press and release a key, or type one character."""
        text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
        self._call("Input.dispatchKeyEvent", type="keyDown", key=key, text=text)
        self._call("Input.dispatchKeyEvent", type="keyUp", key=key)

    def mouse(self, kind: str, selector: str, **more: Any) -> None:
        """A mouse event (``Moved``, ``Pressed``, ``Released``, ``Wheel``) in the middle of an element."""
        place = self.eval(
            f"(() => {{ const b = document.querySelector({json.dumps(selector)}).getBoundingClientRect();"
            " return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )
        self._call("Input.dispatchMouseEvent", type=f"mouse{kind}", x=place[0], y=place[1], **more)

    def click(self, selector: str) -> None:
        """Click on the middle of an element."""
        self.mouse("Moved", selector)
        self.mouse("Pressed", selector, button="left", clickCount=1)
        self.mouse("Released", selector, button="left", clickCount=1)

    def screenshot(self, path: Path) -> None:
        """Save what is seen as PNG."""
        path.write_bytes(base64.b64decode(self._call("Page.captureScreenshot")["data"]))

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + 60
        while True:
            answer = self._take(deadline)
            if answer.get("id") == number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]

    def _take(self, deadline: float) -> dict[str, Any]:
        """The next message; notes what tests ask about."""
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._in], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError("chromium does not answer")
            part = os.read(self._in, 1 << 16)
            if not part:
                raise TimeoutError("chromium ended")
            self._buffer += part
        raw, _, self._buffer = self._buffer.partition(b"\0")
        message = json.loads(raw)
        method, params = message.get("method"), message.get("params", {})
        if method == "Page.loadEventFired":
            self._loaded = True
        elif method in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"):
            self.complaints.append(json.dumps(params))
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        return message
