"""The trials: for each sabotage a short storm, which breaks what it must, and is well without the sabotage."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from pathlib import Path

from rich.table import Table

from storm.faults import kinds
from storm.invariants import judged
from storm.plan import Act, Kind, Plan, Wave, make_plan
from storm.running import Outcome, Tell, Terms, run

PROGRAM = "storm.sabotage.broken"
EVENTS, SECONDS, USERS = 90, 6.0, 50
RECOVERS_WITHIN = 6.0
QUIET_AT_LEAST, TIMES_AS_LONG = 10.0, 1.5


@dataclass(frozen=True, slots=True)
class Trial:
    """A sabotage, the fault that strikes meanwhile, and the promise that must break by both."""

    sabotage: str
    fault: str
    promise: int


TRIALS: Sequence[Trial] = (
    Trial("nobody rings, and nobody sweeps", "valkey: FLUSHALL", 1),
    Trial("a code is logged", "valkey: FLUSHALL", 7),
    Trial("a notice is delivered before it is sent", "product: down", 4),
    Trial("the claim token is ignored", "nylas: slow renewals", 5),
    Trial("a sign-in is done before its code is exchanged", "nylas: drops what comes of codes", 3),
    Trial("a code is sent before it is committed that it will be", "nylas: drops what comes of codes", 3),
    Trial("a timeout is a success", "nylas: hangs without an effect", 2),
    Trial("what was not answered in time is asked for again at once", "nylas: effect long after the timeout", 5),
)


@dataclass(frozen=True, slots=True)
class Storm:
    """What is kept of a short storm: what broke each promise, how long it was, and whether it was what it was to be."""

    broken: Mapping[int, list[str]]
    seconds: float
    waited: float
    wrong: str = ""


@dataclass(slots=True)
class Tried:
    """A trial, with its storm and with the one without sabotage."""

    trial: Trial
    sabotaged: Storm
    control: Storm | None = None

    @property
    def seen(self) -> bool:
        """Whether the promise broke, by the sabotage alone."""
        well = not self.control or not (self.control.wrong or self.control.broken[self.trial.promise])
        return well and not self.sabotaged.wrong and bool(self.sabotaged.broken[self.trial.promise])


@dataclass(slots=True)
class Trials:
    """Runs trials in folders of their own; storms without sabotage are run once for each fault."""

    folder: Path
    tell: Tell
    seed: int = 1
    _controls: dict[str, Storm] = field(default_factory=dict)

    async def judge(self, trial: Trial) -> Tried:
        """Run a trial, after the same storm without its sabotage; that says how long it takes to become quiet."""
        if trial.fault not in self._controls:
            self._controls[trial.fault] = await self._storm(trial.fault, "", Terms(on_postgres=False))
            self.tell(f"{trial.fault}, all as it should be: {_breaks(self._controls[trial.fault])}")
        control = self._controls[trial.fault]
        quiet_within = max(QUIET_AT_LEAST, TIMES_AS_LONG * control.waited)
        return Tried(trial, (await self.sabotaged(trial, quiet_within=quiet_within)), control)

    async def sabotaged(self, trial: Trial, *, quiet_within: float = QUIET_AT_LEAST) -> Storm:
        """Run the storm of a trial, with its sabotage."""
        terms = Terms(
            on_postgres=False,
            recovers_within=RECOVERS_WITHIN,
            quiet_within=quiet_within,
            program=PROGRAM,
            environ={"STORM_SABOTAGE": trial.sabotage},
        )
        storm = await self._storm(trial.fault, trial.sabotage, terms)
        words = "".join(f"; {word}" for word in storm.broken[trial.promise][:1])
        self.tell(f"{trial.fault}, {trial.sabotage}: {_breaks(storm)}{words}")
        return storm

    async def _storm(self, fault: str, sabotage: str, terms: Terms) -> Storm:
        folder = self.folder / (sabotage or fault).replace(" ", "-").replace(":", "").replace(",", "")
        folder.mkdir()
        outcome = await run(plan_of(fault, self.seed), USERS, folder, terms, tell=lambda _: None)
        return Storm(judged(outcome.books), outcome.seconds, outcome.waited, _wrong(outcome, folder, sabotage))


def plan_of(fault: str, seed: int) -> Plan:
    """A short storm with one fault, and with no more commands than that needs: each is a process of its own."""
    [kind] = [kind for kind in kinds(on_postgres=False) if kind.name == fault]
    plan = make_plan(seed, [kind], events=EVENTS, faults=1, seconds=SECONDS, users=USERS, for_long=inf)
    return replace(plan, waves=tuple(_with_few_commands(wave, kind) for wave in plan.waves))


def _with_few_commands(wave: Wave, kind: Kind) -> Wave:
    left_out = {Act.COMMAND} if wave.strike and kind.with_campaign else {Act.COMMAND, Act.CAMPAIGN}
    return replace(wave, arrivals=tuple(one for one in wave.arrivals if one.act not in left_out))


def _wrong(outcome: Outcome, folder: Path, sabotage: str) -> str:
    """Say why a storm proves nothing, if that is so."""
    if silent := [one.proof for one in outcome.struck if not one.fired]:
        return "; ".join(silent)
    parts = ("web", "worker-1", "worker-2") if sabotage else ()
    whole = [name for name in parts if f"storm.sabotage: {sabotage}" not in (folder / f"{name}.log").read_text()]
    return f"{', '.join(whole)} ran unbroken" if whole else ""


def _breaks(storm: Storm) -> str:
    numbers = [str(number) for number, words in storm.broken.items() if words]
    return storm.wrong or (f"breaks {', '.join(numbers)}" if numbers else "breaks nothing")


def table(tried: Sequence[Tried]) -> Table:
    """Show what was broken, and by what it was seen."""
    shown = Table("sabotage", "fault", "must break", "broke", "without it", "seconds", "verdict", box=None)
    for one in tried:
        shown.add_row(
            one.trial.sabotage,
            one.trial.fault,
            str(one.trial.promise),
            _breaks(one.sabotaged).removeprefix("breaks "),
            _breaks(one.control).removeprefix("breaks ") if one.control else "",
            f"{one.sabotaged.seconds:.0f}",
            "seen" if one.seen else "NOT SEEN",
        )
    return shown
