"""Faults waiting to happen: on which calls, of what kind, how many times."""

import json
import re
from base64 import b64decode
from collections import Counter
from dataclasses import dataclass, field
from fnmatch import translate

from simulator.answers import Answer, Json, bad_request, usual
from simulator.asked import one_of
from simulator.given import amount, text, whole
from simulator.spoilt import WAYS

MODES = ("answer", "drop", "reset", "half_close", "slow_drip", "after_effect_drop", "hang_after_effect", *WAYS)


@dataclass(slots=True)
class Fault:
    """One way to fail; `left` counts down, and None lasts until the faults are deleted.

    Without a status and a body the work is done and its own answer is spoilt on the way back.
    """

    path: str
    method: str
    mode: str
    delay: float
    left: int | None
    answer: Answer | None
    asked_for: Json
    name: str
    pattern: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        self.pattern = re.compile(translate(self.path))

    def strikes(self, method: str, path: str) -> bool:
        """Tell whether this call is to fail, and count it."""
        if self.left == 0 or self.method not in ("*", method) or not self.pattern.match(path):
            return False
        if self.left is not None:
            self.left -= 1
        return True

    def view(self) -> Json:
        """Return it as it was asked for, with what is left of it."""
        return self.asked_for | {"mode": self.mode, "count": self.left}


class Faults:
    """The faults, in the order they were asked for: the first that fits strikes."""

    def __init__(self) -> None:
        self.waiting: list[Fault] = []
        self.struck: Counter[str] = Counter()

    def add(self, sent: Json) -> Fault:
        """Note a fault, or refuse what can't be one."""
        count = None if sent.get("count") is None else whole(sent, "count", 0, least=1)
        fault = Fault(
            path=str(sent.get("path", "*")),
            method=str(sent.get("method", "*")).upper(),
            mode=one_of(sent.get("mode", "answer"), *MODES),
            delay=amount(sent.get("delay_ms", 0), "delay_ms") / 1000,
            left=count,
            answer=_answer_in(sent),
            asked_for=sent,
            name=text(sent, "name") or str(sent.get("mode", "answer")),
        )
        self.waiting.append(fault)
        return fault

    def take(self, method: str, path: str) -> Fault | None:
        """Return the fault that strikes this call, if any."""
        if not self.waiting:
            return None
        fault = next((fault for fault in self.waiting if fault.strikes(method, path)), None)
        if fault:
            self.struck[fault.name] += 1
            if fault.left == 0:
                self.waiting.remove(fault)
        return fault

    def end(self) -> None:
        """Let no more calls fail; how often each has struck is still known."""
        self.waiting.clear()

    def view(self) -> list[Json]:
        """Return what is left."""
        return [fault.view() for fault in self.waiting]


def _answer_in(sent: Json) -> Answer | None:
    """Return the answer a fault gives instead of the work: text or bytes as they are, a JSON value as JSON."""
    status, body, headers = sent.get("status"), _body_in(sent), sent.get("headers") or {}
    if not (status is None or (isinstance(status, int) and 200 <= status <= 999)) or not isinstance(headers, dict):
        raise bad_request("status must be a number from 200 to 999, and headers an object")
    headers = {str(name): str(value) for name, value in headers.items()}
    if any(char in text for text in (*headers, *headers.values()) for char in "\r\n\0"):
        raise bad_request("a header must be in one line; the mode raw sends any bytes")
    if status is None and body is None:
        if headers:
            raise bad_request("headers go with a status or a body")
        return None
    if status is not None and body is None:
        own = usual(status)
        return Answer(own.body, own.status, headers)
    if isinstance(body, bytes):
        return Answer(body, status or 200, {"Content-Type": "application/octet-stream"} | headers)
    text = body if isinstance(body, str) else json.dumps(body)
    if text.startswith(("{", "[")):
        headers = {"Content-Type": "application/json"} | headers
    return Answer(text, status or 200, headers)


def _body_in(sent: Json) -> object:
    """Return the body as it was sent: any JSON value, or the bytes that `body_base64` stands for."""
    if "body_base64" not in sent:
        return sent.get("body")
    try:
        return b64decode(text(sent, "body_base64") or "", validate=True)
    except ValueError as wrong:
        raise bad_request("body_base64 must be base64") from wrong
