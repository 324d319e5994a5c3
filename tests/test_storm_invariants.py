"""The promises of a storm: all hold in books that are as they should be, and each is seen to be broken."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import inf
from typing import Any

import pytest

from storm.books import Books, EventRow, Heard, ItemRow, NoticeRow, Sent, SignInRow, TransitionRow, Truth
from storm.invariants import judged, quantile
from storm.parts import Death
from storm.plan import Plan
from storm.running import Outcome, Struck
from storm.table import held

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(seconds=1)


def put(rows: list[Any], place: int, /, **how: object) -> None:
    """Change one entry of the books."""
    rows[place] = replace(rows[place], **how)


def put_on(books: Books, **how: Any) -> None:
    """Change what the books say at their top."""
    for name, value in how.items():
        setattr(books, name, value)


def tell_again(books: Books, id: str, *, as_id: str) -> None:
    """Let a notice be told once more, as another one."""
    books.notices += [replace(notice, id=as_id) for notice in books.notices if notice.id == id]
    books.heard += [replace(entry, id=as_id) for entry in books.heard if entry.id == id]


def leave_untold(books: Books, place: int) -> None:
    """Let a notice be withdrawn that nobody had heard of."""
    id = books.notices[place].id
    put(books.notices, place, outcome="skipped")
    books.heard[:] = [entry for entry in books.heard if entry.id != id]


def renew_again(books: Books, *, doubtful: float) -> None:
    """Let a mailbox be renewed once more than was asked for; answers may have been lost from that moment on."""
    books.truth.renewals["C@example.com"] += 1
    books.truth.renewed_at["C@example.com"] = [(1.9, 2.0), (7.9, 8.0)]
    books.interrupted, books.ambiguous = 2, [(doubtful, 9.0)]


def renew_too_soon(books: Books) -> None:
    """Let a mailbox be renewed again while Nylas was still at work on the first time, since no answer had come."""
    renew_again(books, doubtful=1.0)
    books.truth.renewed_at["C@example.com"] = [(1.0, 2.0), (1.9, 2.1)]


def as_they_should_be() -> Books:
    """One grant came, expired and was told of; another one was deleted; a campaign renewed a third."""
    return Books(
        sent=[Sent("w1"), Sent("p1", poison=True)],
        events=[
            EventRow("e1", "w1", "grant.expired", settled=True, outcome="done"),
            EventRow("e2", "p1", "unreadable", settled=True, outcome="set_aside", reason="it can't be read"),
            EventRow("e3", None, "oauth.returned", settled=True, outcome="done"),
        ],
        grants={"g1": "expired", "g2": "deleted", "g3": "valid"},
        transitions=[
            TransitionRow("t1", "g1", None, "valid", NOON, "oauth.returned"),
            TransitionRow("t2", "g1", "valid", "expired", NOON, "grant.expired"),
            TransitionRow("t3", "g2", "valid", "deleted", NOON, "grant.deleted"),
            TransitionRow("t4", "g3", None, "valid", NOON, "sync"),
        ],
        notices=[
            NoticeRow("n1", "grant.valid", "g1", 1, "t1", settled=True, due=True, outcome="done"),
            NoticeRow("n2", "grant.expired", "g1", 2, "t2", settled=True, due=True, outcome="done"),
            NoticeRow("n3", "grant.deleted", "g2", 1, "t3", settled=True, due=True, outcome="done"),
            NoticeRow("n4", "grant.reauth_required", "g1", 3, None, settled=False, due=False),
        ],
        heard=[
            Heard("n1", "grant.valid", "g1", 1, "valid", LATER),
            Heard("n2", "grant.expired", "g1", 2, "expired", LATER),
            Heard("n1", "grant.valid", "g1", 1, "valid", LATER),  # once more, under the same id
            Heard("n3", "grant.deleted", "g2", 1, "deleted", LATER),
        ],
        sign_ins=[SignInRow("s1", "done", ended=True, kept_secret=False, grant_id="g1")],
        came_back=1,
        asked_for=["c1"],
        campaigns={"c1": "finished"},
        items=[ItemRow("i1", "g3", "c@example.com", settled=True, outcome="done")],
        truth=Truth(
            grants={"g1": "invalid", "g3": "valid"},
            imported={"g2", "g3"},
            expiries=Counter(g1=1),
            deleted={"g2"},
            code_ends={"code": [429, 200]},
            renewals=Counter({"C@example.com": 1}),
        ),
        recoveries=[1.0, 2.0],
        calm=[0.01],
        without_valkey=[0.1],
        growth={"web's memory": 1.0},
    )


def test_books_as_they_should_be_break_no_promise() -> None:
    assert judged(as_they_should_be()) == {number: [] for number in range(1, 11)}


BREACHES: dict[str, tuple[int, Callable[[Books], object]]] = {
    "a webhook that was taken has no row": (1, lambda books: books.events.pop(0)),
    "a webhook has two rows": (1, lambda books: books.events.append(replace(books.events[0], id="again"))),
    "a webhook is never settled": (1, lambda books: put(books.events, 0, settled=False, outcome=None)),
    "a webhook is set aside": (1, lambda books: put(books.events, 0, outcome="set_aside")),
    "poison is taken for an event": (1, lambda books: put(books.events, 1, outcome="done")),
    "poison is set aside without a reason": (1, lambda books: put(books.events, 1, reason=None)),
    "an event of ours is never settled": (1, lambda books: put(books.events, 2, settled=False)),
    "a grant stands wrong": (2, lambda books: books.grants.update(g3="expired")),
    "a grant stays suspect": (2, lambda books: books.grants.update(g1="suspect")),
    "a grant is not known": (2, lambda books: books.grants.pop("g3")),
    "a grant outlives its deletion": (2, lambda books: books.grants.update(g2="valid")),
    "a code is sent after a lost answer": (3, lambda books: books.truth.code_ends.update(code=[None, 400])),
    "a code is sent after a 500": (3, lambda books: books.truth.code_ends.update(code=[500, 200])),
    "a code is exchanged twice": (3, lambda books: books.truth.code_ends.update(code=[200, 200])),
    "a sign-in has no end": (3, lambda books: put(books.sign_ins, 0, status="exchanging", ended=False)),
    "a sign-in is done and has no grant": (3, lambda books: put(books.sign_ins, 0, grant_id=None)),
    "a sign-in is done and its grant is not at Nylas": (3, lambda books: put(books.sign_ins, 0, grant_id="g9")),
    "a sign-in keeps its code": (3, lambda books: put(books.sign_ins, 0, kept_secret=True)),
    "a notice is never told": (4, lambda books: put(books.notices, 1, settled=False, outcome=None)),
    "a notice is not delivered": (4, lambda books: put(books.notices, 1, undelivered=1)),
    "a notice is marked and was not sent": (4, lambda books: books.heard.pop()),
    "a notice is set aside": (4, lambda books: put(books.notices, 0, outcome="set_aside")),
    "an expiry has no notice": (4, lambda books: put(books.notices, 1, transition_id=None)),
    "an arrival has no notice": (4, lambda books: put(books.notices, 0, transition_id=None)),
    "one that a sync finds has no notice": (4, lambda books: books.truth.imported.discard("g3")),
    "a deletion has no notice": (4, lambda books: put(books.notices, 2, transition_id=None)),
    "notices come out of order": (4, lambda books: books.heard.sort(key=lambda entry: -(entry.sequence or 0))),
    "an expiry that lasts is never told": (4, lambda books: leave_untold(books, 1)),
    "a deletion is never told": (4, lambda books: leave_untold(books, 2)),
    "one change is told twice, with a number each": (
        4,
        lambda books: books.notices.append(replace(books.notices[1], id="n6", seq=4)),
    ),
    "one number is told under two ids": (4, lambda books: tell_again(books, "n2", as_id="n5")),
    "a notice is told that no row knows": (4, lambda books: put(books.heard, 0, id="strange")),
    "a notice is not signed": (4, lambda books: put(books.heard, 0, signed=False)),
    "a notice comes before its cause": (4, lambda books: put(books.heard, 3, at=NOON - timedelta(seconds=1))),
    "what was told last is not true": (4, lambda books: books.truth.grants.update(g1="valid")),
    "a user came back of whom no sign-in knows": (3, lambda books: put_on(books, came_back=2)),
    "an event of our own is set aside": (1, lambda books: put(books.events, 2, outcome="set_aside")),
    "a campaign that was asked for is not there": (5, lambda books: books.asked_for.append("c9")),
    "a campaign goes on for ever": (5, lambda books: books.campaigns.update(c1="running")),
    "an item has no end": (5, lambda books: put(books.items, 0, settled=False, outcome=None)),
    "an item fails": (5, lambda books: put(books.items, 0, outcome="failed")),
    "a renewal is done twice": (5, lambda books: books.truth.renewals.update({"C@example.com": 1})),
    "a mailbox is renewed again though nothing was in the way": (5, lambda books: renew_again(books, doubtful=5.0)),
    "a mailbox is renewed again before Nylas may have done it": (5, renew_too_soon),
    "a grant expires here alone": (6, lambda books: books.truth.expiries.clear()),
    "a grant is taken for deleted": (6, lambda books: books.truth.deleted.clear()),
    "a secret is found": (7, lambda books: books.secrets_found.append("the API key stands in web.log")),
    "recovery takes long": (8, lambda books: books.recoveries.append(31.0)),
    "memory grows": (9, lambda books: books.growth.update({"web's memory": 1.2})),
    "nothing became old enough to be measured": (9, lambda books: books.growth.update({"web's memory": None})),
    "webhooks are refused when all is calm": (10, lambda books: books.calm.append(inf)),
    "intake is slow": (10, lambda books: books.calm.append(0.2)),
    "intake is slow without Valkey": (10, lambda books: books.without_valkey.append(0.4)),
}


@pytest.mark.parametrize("what", BREACHES)
def test_a_broken_promise_is_seen(what: str) -> None:
    number, breach = BREACHES[what]
    books = as_they_should_be()
    breach(books)

    assert judged(books)[number]


def test_what_a_fault_may_have_interrupted_explains_as_many_renewals() -> None:
    books = as_they_should_be()
    books.truth.renewals.update({"C@example.com": 2})
    books.interrupted = 2

    assert judged(books)[5] == []


def test_a_renewal_is_done_again_where_the_answer_to_the_one_before_may_have_been_lost() -> None:
    books = as_they_should_be()
    renew_again(books, doubtful=1.0)

    assert judged(books)[5] == []


def test_a_change_that_was_over_before_it_was_told_needs_no_telling() -> None:
    books = as_they_should_be()
    leave_untold(books, 1)
    books.transitions.append(TransitionRow("t5", "g1", "expired", "valid", LATER, "sync"))
    books.truth.grants["g1"], books.grants["g1"] = "valid", "valid"

    assert judged(books)[4] == []


def test_what_had_expired_before_it_was_known_here_needs_no_telling() -> None:
    books = as_they_should_be()
    books.transitions.append(TransitionRow("t6", "g4", None, "expired", NOON, "sync"))
    books.notices.append(replace(books.notices[1], id="n7", grant_id="g4", transition_id="t6", outcome="skipped"))

    assert judged(books)[4] == []


def test_what_the_measuring_was_late_itself_is_none_of_the_intake() -> None:
    books = as_they_should_be()
    books.calm, books.late = [0.2], 0.16

    assert judged(books)[10] == []


@pytest.mark.parametrize(("what", "untimed"), [("recovery takes long", True), ("a grant stands wrong", False)])
def test_what_is_slow_is_no_breach_of_an_untimed_storm(what: str, untimed: bool) -> None:
    books = as_they_should_be()
    BREACHES[what][1](books)
    outcome = Outcome(Plan(1, ()), books, [Struck("a fault", "its proof", True, 1.0, 1.0)], 9.0, 3.0, [])

    assert (held(outcome), held(outcome, untimed=True)) == (False, untimed)


def test_a_storm_in_which_something_never_arrived_or_a_part_ended_by_itself_has_not_held() -> None:
    good = Outcome(Plan(1, ()), as_they_should_be(), [], 9.0, 3.0, [])

    assert held(good)
    assert not held(replace(good, given_up=["a webhook"]))
    assert not held(replace(good, deaths=[Death("web", 1, 0.0)]))


def test_a_quantile_is_a_value_that_was_measured() -> None:
    values = [float(number) for number in range(1, 101)]
    assert [quantile(values, share) for share in (0.5, 0.95, 0.99, 1.0)] == [50.0, 95.0, 99.0, 100.0]
    assert quantile([], 0.99) == 0.0
    assert quantile([3.0], 0.5) == 3.0
