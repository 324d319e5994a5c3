"""Nylas' own SDKs, unchanged, can't tell the simulator from Nylas; nor can our client."""

from collections.abc import Callable

import pytest

from tests.conformance import node_sdk, tours
from tests.conformance.tour import Tour


@pytest.fixture(params=["client", "python", "node"])
def tour(request: pytest.FixtureRequest) -> Tour:
    """What each of the three did; the Node SDK's is skipped where it can't be installed."""
    take: Callable[[], Tour] = getattr(tours, f"{request.param}_tour")
    try:
        return take()
    except node_sdk.NoNode as reason:
        pytest.skip(str(reason))


def test_every_step_gets_what_nylas_would_answer(tour: Tour) -> None:
    """Values returned, and errors with their fields: the steps assert them one by one."""
    wrong = [f"{outcome.step}\n{outcome.problem}" for outcome in tour.outcomes if outcome.problem]

    assert not wrong, "\n\n".join(wrong)


def test_no_method_is_forgotten(tour: Tour) -> None:
    """Each public method of auth, grants, connectors, credentials, application, redirect URIs, webhooks is called."""
    assert tour.methods - tour.called == set()
    assert len(tour.methods) > 30


def test_the_lock_of_the_node_sdk_names_no_host() -> None:
    """It installs from whichever registry npm is set up with; each package is held to its hash all the same."""
    lock = node_sdk.LOCK.read_text()

    assert "://" not in lock, "make it with npm install --omit-lockfile-registry-resolved, and drop its `funding`"
    assert lock.count('"integrity": "sha512-') == lock.count('"node_modules/')


def test_without_node_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is left to believe that the Node SDK was tried."""
    monkeypatch.setenv("PATH", "/nowhere")

    with pytest.raises(node_sdk.NoNode, match="no node or no npm on PATH"):
        node_sdk.made()
