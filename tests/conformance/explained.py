"""The one list of where a call may depart from Nylas' OpenAPI document, each with the reason."""

from dataclasses import dataclass
from fnmatch import fnmatchcase

from tests.conformance.openapi import Departure

SDKS = "* SDK"
BEYOND = "documented for every endpoint in Nylas' page on errors, not in its OpenAPI"
SHOWN = "the SDKs' model of a webhook insists on it, in this answer too"


@dataclass(frozen=True, slots=True)
class Explained:
    """A departure that is meant. All but `reason` and `instead_of` are patterns of the shell's kind.

    `sender` is the client that made the call, so that what an SDK does is not thereby allowed to ours. `instead_of` is
    the operation that the call stands for, if it has a path of its own.
    """

    sender: str
    operation: str
    part: str
    place: str
    complaint: str
    reason: str
    instead_of: str = ""

    def covers(self, sender: str, departure: Departure) -> bool:
        """Tell whether it is about this one."""
        return (
            fnmatchcase(sender, self.sender)
            and fnmatchcase(departure.operation, self.operation)
            and fnmatchcase(departure.part, self.part)
            and fnmatchcase(departure.place, self.place)
            and fnmatchcase(departure.complaint, self.complaint)
        )


EXPLAINED = (
    # What the SDKs ask in another way than documented; our client may not.
    Explained(SDKS, "get_oauth2_flow", "query", "code_challenge_method", "'s256' is not one of *",
              "both SDKs write the method in lower case; Nylas takes it in either"),
    Explained(SDKS, "get_oauth2_flow", "query", "include_grant_scopes", "no such parameter",
              "both SDKs offer it, the document doesn't"),
    Explained(SDKS, "exchange_oauth2_token", "request", "/redirect_uri", "is not documented",
              "both SDKs ask for it with a refresh token as well"),
    Explained("Python SDK", "PUT /v3/webhooks/*/rotate-secret", "path", "", "no such operation",
              "sends PUT /v3/webhooks/{id}/rotate-secret", instead_of="post-new-secret"),
    Explained("Node SDK", "post-new-secret", "request", "", "has a body",
              "sends an empty object"),
    Explained("Node SDK", "PUT /v3/connectors/*", "path", "", "no such operation",
              "sends PUT", instead_of="update_connector_by_provider"),
    # What all three ask, because Nylas' SDKs or guides document it.
    Explained("*", "GET /v3/webhooks/ip-addresses", "path", "", "no such operation",
              "both SDKs have it, and Nylas' guide to webhooks"),
    Explained("*", "byo_auth", "request", "/state", "is not documented",
              "both SDKs take a state for every provider, the document for virtual calendars alone"),
    Explained("*", "create_connector", "request", "/name", "is not documented",
              "the Node SDK sends it, and the answer has it"),
    Explained("*", "update_connector_by_provider", "request", "/name", "is not documented",
              "the SDKs' models have it, and the answer too"),
    Explained("*", "update_application", "request", "/additional_settings", "is not documented",
              "Nylas' text on this operation and both SDKs have it"),
    # What the simulator answers.
    Explained("*", "*", "answer 429", "", "no such status", BEYOND),
    Explained("*", "*", "answer 423", "", "no such status", BEYOND),
    Explained("*", "get_all_callback_uris", "answer 401", "", "no such status", BEYOND),
    Explained("*", "*_credential_by_id", "answer 404", "", "no such status",
              "as for connectors and all else: the document names only 400, and no text says what an unknown id gets"),
    *(
        Explained("*", operation, "answer 200", "/request_id", "is not documented",
                  "the SDKs insist on it in every envelope; the document forgot it in these two")
        for operation in ("get_all_callback_uris", "update_application")
    ),
    *(
        Explained("*", operation, "answer 200", f"/data/{name}", "is not documented",
                  "the SDKs' models of an application have it")
        for operation in ("get_application", "update_application")
        for name in ("created_at", "updated_at", "blocked")
    ),
    *(
        Explained("*", operation, "answer 200", "/data/compressed_delivery", "is not documented",
                  "it is in the answers to create, list and update")
        for operation in ("get-webhook-by-id", "post-new-secret")
    ),
    Explained("*", "get-webhook-by-id", "answer 200", "/data/trigger_types/*", "'grant.imap_sync_completed' is not *",
              "the list of triggers in this one answer lags behind that of all others"),
    Explained("*", "get_mock_webhook_payload", "answer 200", "/data/*", "is not documented",
              "the whole notification, as Nylas' text says; the document describes its `data` alone"),
    Explained("*", "*_oauth2_token*", "answer 400", "/error_code", "is int, not string",
              "the document's own example is a number, and so is the Python SDK's field"),
    *(
        Explained("*", operation, "answer 200", f"{place}/{name}", "is not documented", SHOWN)
        for operation, place in (
            ("post-webhook-destinations", "/data"),
            ("get-webhook-destinations-application", "/data/*"),
            ("post-new-secret", "/data"),
        )
        for name in ("created_at", "updated_at", "status_updated_at")
    ),
)  # fmt: skip


def explanation(sender: str, departure: Departure) -> Explained | None:
    """Find what explains a departure."""
    return next((entry for entry in EXPLAINED if entry.covers(sender, departure)), None)
