"""The application's own page in the API: `/v3/applications`."""

from simulator.answers import Answer, Json, bad_request, data
from simulator.api.redirect_uris import checked
from simulator.application import RedirectUri
from simulator.asked import Asked
from simulator.state import State

NESTED = ("branding", "hosted_authentication", "idp_settings")
NUMBERS = ("refresh_token_expiration_absolute", "refresh_token_expiration_idle")
FLAGS = ("rotate_refresh_token", "allow_query_param_in_redirect_uri")


async def get_application(state: State, asked: Asked) -> Answer:
    """Return it, with its callbacks."""
    return data(state.application.view())


async def patch_application(state: State, asked: Asked) -> Answer:
    """Change what is named: nested objects and the list of callbacks are replaced whole.

    What Nylas manages itself (ids, region, environment) is passed over; `additional_settings` go in and
    are never shown.
    """
    sent, application = asked.body(), state.application
    for name in (*NESTED, "additional_settings"):
        if not isinstance(sent.get(name, {}), dict):
            raise bad_request(f"{name} must be an object")
    if not isinstance(sent.get("domain", ""), str):
        raise bad_request("domain must be a string")
    additional = application.additional | _additional(sent.get("additional_settings", {}))
    if "callback_uris" in sent:
        uris = _callbacks(state, sent["callback_uris"], additional)
        application.redirect_uris = {uri.id: uri for uri in uris}
    application.additional = additional
    application.shown |= {name: sent[name] for name in (*NESTED, "domain") if name in sent}
    application.shown["updated_at"] = state.now()
    return data(application.view())


def _additional(given: Json) -> Json:
    for name, kind, words in [
        *((name, int, "a number of seconds") for name in NUMBERS),
        *((name, bool, "true or false") for name in FLAGS),
    ]:
        if name in given and (type(given[name]) is not kind or given[name] < 0):
            raise bad_request(f"additional_settings.{name} must be {words}")
    return given


def _callbacks(state: State, given: object, additional: Json) -> list[RedirectUri]:
    """Return the callbacks of a list; who names the id of one keeps it."""
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
        raise bad_request("callback_uris must be a list of objects")
    known = state.application.redirect_uris
    return [
        RedirectUri(one["id"] if one.get("id") in known else state.new_id(), *checked(one, additional)) for one in given
    ]
