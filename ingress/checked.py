"""The settings, read and found right; else the command ends with all that is wrong."""

from ingress.terminal import fail
from worker.settings import BadSettings, Settings, read


def settings_or_exit() -> Settings:
    """Read the settings; if they are not right, say all that is wrong and exit with 2."""
    try:
        settings = read()
        settings.keys()
    except BadSettings as error:
        fail(str(error), code=2)
    return settings


def redis_or_exit(settings: Settings) -> str:
    """The Redis that carries the messages; `web`, `worker` and `beat` by themselves must be told of it."""
    if not settings.redis_url:
        fail("EVERGRANT_REDIS_URL is missing (only `evergrant up` brings a Valkey of its own)", code=2)
    return settings.redis_url
