"""Nylas v3 as Evergrant needs it: grants, sign-ins, and the proof that a webhook is genuine."""

from nylas_api.answers import Answer, NylasGrant, TokenAnswer
from nylas_api.budget import Budget, NoBudget
from nylas_api.client import NylasClient
from nylas_api.errors import (
    Blocked,
    CodeRejected,
    Forbidden,
    Garbled,
    GrantNotFound,
    NylasError,
    Permanent,
    RateLimited,
    Rejected,
    Transient,
    Unauthorized,
    Unavailable,
    Unreachable,
)
from nylas_api.hosted_auth import AuthOptions, auth_url
from nylas_api.pkce import code_challenge, new_code_verifier
from nylas_api.protocol import GrantFilters
from nylas_api.signature import sign, signature_matches
from nylas_api.transport import HttpClient, open_http

__all__ = [
    "Answer",
    "AuthOptions",
    "Blocked",
    "Budget",
    "CodeRejected",
    "Forbidden",
    "Garbled",
    "GrantFilters",
    "GrantNotFound",
    "HttpClient",
    "NoBudget",
    "NylasClient",
    "NylasError",
    "NylasGrant",
    "Permanent",
    "RateLimited",
    "Rejected",
    "TokenAnswer",
    "Transient",
    "Unauthorized",
    "Unavailable",
    "Unreachable",
    "auth_url",
    "code_challenge",
    "new_code_verifier",
    "open_http",
    "sign",
    "signature_matches",
]
