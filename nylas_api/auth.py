"""Authentication: hosted OAuth, tokens, and authentication with credentials of one's own."""

from collections.abc import Sequence
from typing import Literal, Unpack

from nylas_api import hosted_auth
from nylas_api.conversation import Conversation
from nylas_api.grants import NylasGrant
from nylas_api.hosted_auth import AuthOptions
from nylas_api.lenient import Answer, read_flat, read_nothing, read_one
from nylas_api.provider_settings import ProviderSettings, check_settings
from nylas_api.request import Request, given
from nylas_api.tokens import DetectedProvider, TokenAnswer, TokenInfo


class Auth:
    """Nylas' `/v3/connect/*` and `/v3/providers/detect`. Every call may raise any NylasError."""

    def __init__(self, conversation: Conversation, *, client_id: str) -> None:
        """`client_id` is the application's id."""
        self._conversation = conversation
        self._client_id = client_id

    def url(self, **options: Unpack[AuthOptions]) -> str:
        """Say where to send a user to sign in (GET /v3/connect/auth); nothing is sent. See `AuthOptions`."""
        return hosted_auth.auth_url(self._conversation.wire.api_uri, self._client_id, **options)

    def admin_consent_url(
        self, *, redirect_uri: str, credential_id: str, state: str | None = None, login_hint: str | None = None
    ) -> str:
        """Say where a Microsoft admin consents for a whole tenant (GET /v3/connect/auth, response type `adminconsent`).

        `credential_id` is an `adminconsent` credential. The way back carries `admin_consent=true` and
        the state, but no code: no grant comes of it. Bulk grants of that credential work from then on.
        """
        return self.url(
            redirect_uri=redirect_uri,
            provider="microsoft",
            response_type="adminconsent",
            credential_id=credential_id,
            state=state,
            login_hint=login_hint,
        )

    async def exchange_code(
        self, *, code: str, redirect_uri: str, code_verifier: str | None = None
    ) -> Answer[TokenAnswer]:
        """Exchange the code of a finished sign-in for its grant (POST /v3/connect/token, `authorization_code`).

        A code is good for one attempt, even a failed one, so this is never repeated. CodeRejected if it
        was spent, too old or not ours. When the outcome is unknown, the grant may exist: look for it by
        its email, or ask the user again, but don't send the code again.
        """
        form = {"code": code, "redirect_uri": redirect_uri}
        if code_verifier is not None:
            form["code_verifier"] = code_verifier
        request = self._token("authorization_code", form, hidden=(code, code_verifier or ""), spends_a_code=True)
        return await self._conversation.ask(request)

    async def refresh_access_token(self, *, refresh_token: str) -> Answer[TokenAnswer]:
        """Get a new access token of Nylas' for the holder of its refresh token (POST /v3/connect/token).

        Not repeated after a lost answer: an application can be set to rotate its refresh tokens.
        Rejected if the token was revoked.
        """
        form = {"refresh_token": refresh_token}
        return await self._conversation.ask(
            self._token("refresh_token", form, hidden=(refresh_token,), repeatable=False)
        )

    async def grant_access_token(self, grant_id: str) -> Answer[TokenAnswer]:
        """Get an access token of one hour for a grant that exists (POST /v3/connect/token, `client_credentials`)."""
        return await self._conversation.ask(self._token("client_credentials", {"grant_id": grant_id}))

    async def token_info(self, *, id_token: str | None = None, access_token: str | None = None) -> Answer[TokenInfo]:
        """Read what a token of Nylas' says (GET /v3/connect/tokeninfo); Rejected if it expired or was revoked.

        Takes exactly one of the two, else ValueError.
        """
        tokens = [token for token in (id_token, access_token) if token]
        if len(tokens) != 1:
            raise ValueError("ask about one token: id_token or access_token")
        params = given(id_token=id_token, access_token=access_token)
        request = Request(
            "GET", "/v3/connect/tokeninfo", "authentication", read_one(TokenInfo), params=params, secrets=(tokens[0],)
        )
        return await self._conversation.ask(request)

    async def revoke(self, token: str) -> Answer[None]:
        """Revoke an access or refresh token of Nylas' with its kin (POST /v3/connect/revoke).

        The grant stays, and so does what the provider gave (Nylas' prose; its SDKs' comments differ).
        """
        request = Request(
            "POST", "/v3/connect/revoke", "authentication", read_nothing, params={"token": token}, secrets=(token,)
        )
        return await self._conversation.ask(request)

    async def custom(
        self,
        *,
        provider: str,
        settings: ProviderSettings,
        scope: Sequence[str] = (),
        state: str | None = None,
        name: str | None = None,
    ) -> Answer[NylasGrant]:
        """Authenticate with credentials of our own (POST /v3/connect/custom).

        An email that already has a grant has it re-authenticated, under the same id; so doing it
        again is safe. Only `created_at` before `updated_at` tells that from a new grant. `name` is for
        the provider `nylas`. ValueError if the settings are another provider's.
        """
        check_settings(provider, settings)
        body: dict[str, object] = {"provider": provider, "settings": settings.body()}
        body |= {"scope": list(scope)} if scope else {}
        body |= {key: value for key, value in {"state": state, "name": name}.items() if value is not None}
        request = Request(
            "POST",
            "/v3/connect/custom",
            "authentication",
            read_one(NylasGrant),
            json=body,
            about="account",
            secrets=settings.secrets(),
        )
        return await self._conversation.ask(request)

    async def detect_provider(self, email: str, *, all_provider_types: bool | None = None) -> Answer[DetectedProvider]:
        """Find out who keeps a mailbox (POST /v3/providers/detect); Nylas allows 20 such calls a minute.

        Without `all_provider_types` only providers that have a connector are told.
        """
        params = given(email=email, all_provider_types=all_provider_types)
        request = Request("POST", "/v3/providers/detect", "detect", read_one(DetectedProvider), params=params)
        return await self._conversation.ask(request)

    def _token(
        self,
        grant_type: Literal["authorization_code", "refresh_token", "client_credentials"],
        form: dict[str, str],
        *,
        hidden: tuple[str, ...] = (),
        repeatable: bool = True,
        spends_a_code: bool = False,
    ) -> Request[TokenAnswer]:
        """The client secret that Nylas asks for *is* the API key."""
        key = self._conversation.api_key
        return Request(
            "POST",
            "/v3/connect/token",
            "authentication",
            read_flat(TokenAnswer),
            json={"grant_type": grant_type, "client_id": self._client_id, "client_secret": key, **form},
            repeatable=repeatable,
            spends_a_code=spends_a_code,
            authorized=False,
            secrets=(key, *hidden),
        )
