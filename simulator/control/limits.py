"""The `/_sim` control of what Nylas allows, and of what it shows late."""

from simulator.answers import Answer
from simulator.asked import Asked
from simulator.state import State


async def show_limits(state: State, asked: Asked) -> Answer:
    """Return what is set, and how many calls were refused for it."""
    return Answer(state.limits.view() | {"refused": state.limits.refused}, flat=True)


async def set_limits(state: State, asked: Asked) -> Answer:
    """Set limits: `per_second` of each group, `detect_per_minute`, `retry_after_s` to tell with a refusal.

    `provider_filter_lag_s` is no limit: for so long a new grant is not found by its provider.
    """
    state.limits.set(asked.body())
    return await show_limits(state, asked)
