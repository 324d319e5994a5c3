"""The pages that a signing-in user sees: plain words, no script, nothing from elsewhere."""

from html import escape
from string import Template

from starlette.responses import HTMLResponse

PAGE = Template(
    """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">$refresh<title>$title</title>
<style>
:root { color-scheme: light dark; --ink: #1c2433; --soft: #5b6678; --ground: #f4f5f7; --card: #fff; --mark: $mark; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8ebf0; --soft: #a3adbd; --ground: #11151c; --card: #1a202a; }
}
* { box-sizing: border-box; margin: 0 }
body { min-height: 100vh; display: grid; place-items: center; padding: 1.5rem; background: var(--ground);
  color: var(--ink); font: 1rem/1.6 system-ui, sans-serif }
main { max-width: 27rem; width: 100%; background: var(--card); border-radius: 14px; padding: 2.2rem 2.2rem 2rem;
  border-top: 5px solid var(--mark); box-shadow: 0 1px 3px #0002, 0 12px 32px #0001 }
h1 { font-size: 1.35rem; line-height: 1.3; margin-bottom: .6rem }
p { color: var(--soft) } p + p { margin-top: .6rem }
a.button { display: inline-block; margin-top: 1.4rem; padding: .55rem 1.1rem; border-radius: 8px; font-weight: 600;
  background: var(--ink); color: var(--card); text-decoration: none }
</style></head><body><main><h1>$title</h1>$body$link</main></body></html>
"""
)
GOOD, WAIT, BAD = "#1f9d61", "#3f7cd6", "#cf5b2e"

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def page(
    title: str,
    *paragraphs: str,
    mark: str,
    status: int = 200,
    again: str | None = None,
    refresh_after: int | None = None,
) -> HTMLResponse:
    """Make a page; every text is escaped. `again` is where the button to try again leads."""
    html = PAGE.substitute(
        title=escape(title),
        body="".join(f"<p>{escape(text)}</p>" for text in paragraphs),
        mark=mark,
        link=f'<a class="button" href="{escape(again)}">Try again</a>' if again else "",
        refresh=f'<meta http-equiv="refresh" content="{refresh_after}">' if refresh_after else "",
    )
    return HTMLResponse(html, status_code=status, headers=HEADERS)


def connected(email: str | None) -> HTMLResponse:
    """The sign-in is finished."""
    whose = f"{email} is connected." if email else "Your account is connected."
    return page("You're connected", whose, "You can close this page.", mark=GOOD)


def consented() -> HTMLResponse:
    """An admin is back from consenting for a whole organisation: no grant comes of that by itself."""
    return page(
        "Thank you",
        "Nylas has sent you back after an admin's consent.",
        "You can close this page. Mailboxes are connected by whoever asked you for it.",
        mark=GOOD,
    )


def finishing() -> HTMLResponse:
    """The answer was taken in, and is being worked on; the page looks again by itself."""
    return page(
        "Almost done",
        "We have your answer and are finishing the connection.",
        "This page looks again by itself; you can also close it.",
        mark=WAIT,
        status=202,
        refresh_after=2,
    )


def declined(again: str) -> HTMLResponse:
    """The user said no, or the provider did."""
    return page(
        "Not connected",
        "The sign-in was declined, so nothing was connected.",
        "If you changed your mind, start it once more.",
        mark=BAD,
        again=again,
    )


def failed(again: str) -> HTMLResponse:
    """The sign-in came back, and could not be finished."""
    return page(
        "That didn't work",
        "The sign-in could not be finished, and nothing was connected.",
        "Please sign in once more.",
        mark=BAD,
        status=400,
        again=again,
    )


def another_account(again: str) -> HTMLResponse:
    """The user came back as somebody else."""
    return page(
        "That was another account",
        "The account that you chose is not the one that was to be connected again, so that one is as it was.",
        "Please start once more, and choose the account that you were asked for.",
        mark=BAD,
        status=409,
        again=again,
    )


def already_connected() -> HTMLResponse:
    """The link has done its work."""
    return page(
        "Already connected",
        "Since this link was sent, the account has been connected again.",
        "There is nothing to do. You can close this page.",
        mark=GOOD,
        status=410,
    )


def closed_link() -> HTMLResponse:
    """The link was good once: it is too old, or was revoked, or its grant is gone."""
    return page(
        "This link no longer works",
        "Links to connect an account again work for a short time only.",
        "Ask for a new one where you got it.",
        mark=BAD,
        status=410,
    )


def unknown_link() -> HTMLResponse:
    """We have signed no such link."""
    return page(
        "We don't know this link",
        "Perhaps a part of it was lost on the way.",
        "Open it once more from where you got it, or ask for a new one there.",
        mark=BAD,
        status=400,
    )


def ready_link() -> HTMLResponse:
    """The link is good; whoever asked did not want to go there yet."""
    return page("Connect your account again", "Open this link in a browser.", mark=GOOD)


def too_late(again: str) -> HTMLResponse:
    """The sign-in took longer than it is kept open."""
    return page(
        "That took a while",
        "This sign-in was started too long ago to be finished. Please start it once more.",
        mark=BAD,
        status=410,
        again=again,
    )


def unknown_sign_in() -> HTMLResponse:
    """No sign-in that was started here, and in this browser, belongs to this address."""
    return page(
        "We don't know this sign-in",
        "It was not started in this browser, or was started too long ago.",
        "Go back to where you came from, and start it there once more.",
        mark=BAD,
        status=400,
    )


def unknown_provider(provider: str) -> HTMLResponse:
    """There is no such provider."""
    return page("No such provider", f"“{provider[:40]}” is not a provider that can be connected.", mark=BAD, status=404)


def unavailable() -> HTMLResponse:
    """Nothing could be written down just now."""
    return page(
        "One moment, please",
        "We can't take this in right now. This page tries again by itself.",
        mark=WAIT,
        status=503,
        refresh_after=3,
    )
