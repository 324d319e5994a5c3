"""The page at `/`: what this is, how it stands, and the last calls; plain HTML, no script, nothing from the network."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from itertools import islice
from string import Template

from simulator.answers import Answer
from simulator.asked import Asked
from simulator.calls import Call
from simulator.state import State

LAST = 100
REFRESH = '<meta http-equiv="refresh" content="{}">\n'
LINKS = {
    "/_sim/calls": "counts of calls",
    "/_sim/calls?detail=1": "calls, one by one",
    "/_sim/deliveries": "deliveries to webhooks",
    "/_sim/faults": "faults",
    "/_sim/limits": "limits",
    "/healthz": "health",
}

PAGE = Template("""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
$refresh<title>Nylas simulator</title>
<style>
  :root { color-scheme: light dark; --ground: #eef1f6; --sheet: #fff; --ink: #1b2333; --soft: #5a6579;
          --line: #dfe4ec; --accent: #2456d6; --bad: #b3261e }
  @media (prefers-color-scheme: dark) {
    :root { --ground: #11151d; --sheet: #1a202c; --ink: #e6eaf2; --soft: #9aa6bb; --line: #2c3546;
            --accent: #8fb0ff; --bad: #ff9d94 }
  }
  body { margin: 0; background: var(--ground); color: var(--ink); font: 16px/1.5 system-ui, sans-serif }
  main { max-width: 60rem; margin: 0 auto; padding: 2rem 1rem 4rem }
  h1 { margin: 0; font-size: 1.6rem }
  h2 { margin: 2rem 0 .5rem; font-size: 1.1rem }
  p { margin: .25rem 0 1rem; color: var(--soft) }
  a { color: var(--accent) }
  code { font: .9em/1.4 ui-monospace, monospace; overflow-wrap: anywhere }
  section { padding: 1rem 1.25rem; border-radius: .75rem; background: var(--sheet); overflow-x: auto }
  dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(8rem, 1fr)); gap: 1rem; margin: 0 }
  dt { color: var(--soft); font-size: .85rem }
  dd { margin: 0; font-size: 1.25rem; font-variant-numeric: tabular-nums }
  table { width: 100%; border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums }
  th, td { padding: .35rem .75rem .35rem 0; border-bottom: 1px solid var(--line); text-align: left;
           vertical-align: top }
  th { color: var(--soft); font-weight: 600 }
  tr:last-child td { border-bottom: 0 }
  td.bad { color: var(--bad); font-weight: 600 }
  ul { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; margin: 0; padding: 0; list-style: none }
  :focus-visible { outline: 3px solid #7ea2ff; outline-offset: 2px }
</style>
<main>
  <h1>Nylas simulator</h1>
  <p>A Nylas that runs on this machine: the v3 authentication API, its webhooks, and its bad days. No real account is
  involved. Give <code>$url</code> to your client as Nylas' address.</p>
  <section><dl>$figures</dl></section>
  <h2>Webhooks</h2>
  <section>$hooks</section>
  <h2>Faults</h2>
  <section>$faults</section>
  <h2>Last calls</h2>
  <section>$calls</section>
  <h2>More</h2>
  <section><ul>$links</ul></section>
</main>
</html>
""")


async def page(state: State, asked: Asked) -> Answer:
    """Return the page; with `?refresh=2` it asks for itself again every two seconds."""
    again = asked.whole("refresh", 0)
    books, calls, post = state.books, state.calls, state.deliveries
    invalid = len(books.ailing)
    figures = {
        "Grants, valid": f"{len(books.by_id) - invalid:,}",
        "Grants, invalid": f"{invalid:,}",
        "Calls": f"{calls.total:,}",
        "Under way": f"{calls.in_flight:,}",
        "Deliveries pending": f"{post.pending:,}",
        "Time at Nylas": datetime.fromtimestamp(state.now(), UTC).strftime("%Y-%m-%d %H:%M:%S"),
    }
    hooks = [
        (hook.url, _word(hook.status, hook.status != "active"), ", ".join(hook.trigger_types))
        for hook in post.hooks.values()
    ]
    faults = [
        (fault.method, fault.path, fault.mode, "until deleted" if fault.left is None else str(fault.left))
        for fault in state.faults.waiting
    ]
    last = islice(reversed(calls.last), LAST)
    return Answer(
        PAGE.substitute(
            refresh=REFRESH.format(again) if again else "",
            url=escape(f"http://{asked.request.host}"),
            figures="".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in figures.items()),
            hooks=_table(("URL", "Status", "Trigger types"), hooks),
            faults=_table(("Method", "Path", "Mode", "Left"), faults),
            calls=_table(("Time", "Method", "Path", "Status", "Milliseconds"), map(_row, last)),
            links="".join(f'<li><a href="{escape(path)}">{escape(name)}</a></li>' for path, name in LINKS.items()),
        )
    )


class _Bad(str):
    """A word that is to catch the eye."""


def _word(text: str, bad: bool) -> str:
    return _Bad(text) if bad else text


def _row(call: Call) -> tuple[str, ...]:
    time = datetime.fromtimestamp(call.arrived, UTC).strftime("%H:%M:%S.%f")[:-3]
    if call.answered is None:
        return time, call.method, call.path, "under way", ""
    status = _word("dropped" if call.status is None else str(call.status), call.status is None or call.status >= 400)
    return time, call.method, call.path, status, f"{(call.answered - call.arrived) * 1000:.1f}"


def _table(names: Sequence[str], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a table with all its cells escaped, or a word if it is empty."""
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>" if body else "None."


def _cell(text: str) -> str:
    return f"<td{' class=bad' if isinstance(text, _Bad) else ''}>{escape(text)}</td>"
