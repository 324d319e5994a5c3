"""What the token endpoints answer (Nylas: /v3/connect/token, /v3/connect/tokeninfo, /v3/providers/detect)."""

from nylas_api.lenient import Flag, MaybeInt, MaybeMoment, MaybeSecret, MaybeText, Said, Text, Words


class TokenAnswer(Said):
    """What a code, or a refresh token, was exchanged for.

    With an API key only `grant_id` is needed afterwards. The grant may be one that existed before;
    the email may be missing. `expires_in` is in seconds and speaks of Nylas' access token.
    """

    grant_id: Text
    email: MaybeText = None
    provider: MaybeText = None
    scope: Words = ()
    expires_in: MaybeInt = None
    access_token: MaybeSecret = None
    refresh_token: MaybeSecret = None
    """Only if the sign-in was asked for with `access_type=offline`."""
    token_type: MaybeText = None
    id_token: MaybeSecret = None


class TokenInfo(Said):
    """The claims of a token of Nylas', in the form of RFC 9068."""

    iss: MaybeText = None
    aud: MaybeText = None
    sub: MaybeText = None
    email: MaybeText = None
    iat: MaybeMoment = None
    exp: MaybeMoment = None


class DetectedProvider(Said):
    """Who keeps the mailbox of an address, as far as Nylas could find out."""

    email_address: MaybeText = None
    detected: Flag = False
    provider: MaybeText = None
    type: MaybeText = None
    """For IMAP: which kind, as `icloud`."""
