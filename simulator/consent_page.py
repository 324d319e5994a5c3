"""The page on which a user says yes or no: plain HTML, nothing from the network, no script."""

from html import escape
from string import Template

from simulator.logins import Login

PAGE = Template("""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sign in</title>
<style>
  :root { color-scheme: light dark }
  body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: #eef1f6;
         color: #1b2333; font: 16px/1.5 system-ui, sans-serif }
  form { width: min(24rem, 88vw); padding: 2rem; border-radius: 1rem; background: #fff;
         box-shadow: 0 1px 2px #0002, 0 12px 32px #0001 }
  h1 { margin: 0 0 .25rem; font-size: 1.35rem }
  p, li { color: #5a6579 }
  p { margin: 0 0 1rem }
  ul { margin: 0 0 1.25rem; padding-left: 1.1rem; font-size: .85rem; overflow-wrap: anywhere }
  label { display: block; font-size: .85rem }
  input, select { box-sizing: border-box; width: 100%; margin: .25rem 0 1.25rem; padding: .6rem .75rem;
          border: 1px solid #c3cad6; border-radius: .5rem; background: transparent; color: inherit; font: inherit }
  div { display: flex; gap: .75rem }
  button { flex: 1; padding: .7rem; border: 1px solid #c3cad6; border-radius: .5rem; background: transparent;
           color: inherit; font: inherit; cursor: pointer }
  button[value=allow] { border-color: #2456d6; background: #2456d6; color: #fff; font-weight: 600 }
  :focus-visible { outline: 3px solid #7ea2ff; outline-offset: 2px }
  small { display: block; margin-top: 1.25rem; color: #5a6579 }
  @media (prefers-color-scheme: dark) {
    body { background: #11151d; color: #e6eaf2 } form { background: #1a202c }
    p, li, small { color: #9aa6bb } input, select, button { border-color: #3a4558 }
  }
</style>
<form method="post" action="/_sim/consent/$id">
  <h1>$title</h1>
  <p>An application asks to act for you.</p>
  <ul>$scopes</ul>
  $choice<label>Account <input name="email" type="email" value="$email" autocomplete="off"></label>
  <div>
    <button name="answer" value="deny">Deny</button>
    <button name="answer" value="allow">Allow</button>
  </div>
  <small>This is a simulator. No real account is involved.</small>
</form>
</html>
""")


def consent_page(login: Login) -> str:
    """Return the page for one login."""
    chosen = login.provider
    options = "".join(
        f"<option{' selected' if one == chosen else ''}>{escape(one)}</option>" for one in login.providers
    )
    several = len(login.providers) > 1
    scopes = "".join(f"<li>{escape(scope)}</li>" for scope in login.scope or ["whatever its connector asks for"])
    return PAGE.substitute(
        id=login.id,
        title=escape(_title(login)),
        choice=f'<label>Provider <select name="provider">{options}</select></label>\n  ' if several else "",
        email=escape(login.email),
        scopes=scopes,
    )


def _title(login: Login) -> str:
    if login.for_admin:
        return "Allow access to your whole organisation"
    if len(login.providers) > 1:
        return "Connect your account"
    return f"Connect your {login.provider.title()} account"
