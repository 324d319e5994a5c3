"""Keeps the request that an operation makes, before anything is sent, for what reads answers without a wire."""

from nylas_api import Answer, NylasClient
from nylas_api.request import Request
from tests.operations import CLIENT_ID, Operation
from tests.wire import KEY


class Kept(Exception):
    """The request that was about to be sent."""

    def __init__(self, request: Request) -> None:
        super().__init__()
        self.request = request


class Keeper:
    """Stands where the conversation with Nylas begins, and ends it."""

    api_key = KEY

    async def ask(self, request: Request) -> Answer:
        raise Kept(request)


def request_of(operation: Operation) -> Request:
    client = NylasClient(api_uri="http://localhost", api_key=KEY, client_id=CLIENT_ID, http=None)
    for group in vars(client).values():
        group._conversation = Keeper()
    try:
        operation.call(client).send(None)
    except Kept as kept:
        return kept.request
    raise AssertionError(f"{operation} asked for nothing")
