"""What the doctor finds: one line for each thing that was looked at."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from ingress.terminal import out, put_json

MARKS = {True: "✓", False: "✗", None: "!"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `ok`: True, False, or None for what works and should still be seen to.

    `fix` says what to do; it is None where nothing is.
    """

    check: str
    ok: bool | None
    detail: str
    fix: str | None = None


def well(check: str, detail: str) -> Finding:
    """Nothing to do."""
    return Finding(check, True, detail)


def beware(check: str, detail: str, fix: str) -> Finding:
    """It works, and should still be seen to."""
    return Finding(check, None, detail, fix)


def wrong(check: str, detail: str, fix: str) -> Finding:
    """It does not work."""
    return Finding(check, False, detail, fix)


def put(findings: Sequence[Finding], *, as_json: bool) -> None:
    """Print them, each on one line."""
    if as_json:
        put_json([asdict(finding) for finding in findings])
        return
    width = max((len(finding.check) for finding in findings), default=0)
    for finding in findings:
        line = f"{MARKS[finding.ok]} {finding.check:<{width}}  {finding.detail}"
        line += f" → {finding.fix}" if finding.fix else ""
        style = {False: "red", None: "yellow"}.get(finding.ok) if out.is_terminal else None
        out.print(line, style=style, markup=False, soft_wrap=True)
