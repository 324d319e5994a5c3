"""Drawing a course: a bar for each contestant, as long as its median, with a line from its least to its most."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.report import number
from bench.runner import Outcome, Result

OURS, PEERS = "#1f77b4", "#b0b7bf"


def plot(outcome: Outcome, path: Path) -> bool:
    """Draw the figure of a course that matters most into a PNG; return whether there is anything to draw."""
    figure = _main(outcome)
    shown = [result for result in outcome.results if figure and result.values(figure)]
    if figure is None or not shown:
        return False
    drawing = Figure(figsize=(8, 0.8 + 0.42 * len(shown)), layout="constrained")
    axes = drawing.subplots()
    for place, result in enumerate(shown):
        _bar(axes, place, result, figure, ours=result is outcome.results[0])
    axes.set_yticks(range(len(shown)), [result.name for result in shown])
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.margins(x=0.12)
    more = "more is better" if figure in outcome.better else "less is better"
    axes.set_xlabel(f"{figure.replace('_', ' ')} ({more})")
    axes.set_title(outcome.name, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    drawing.savefig(path, dpi=120, metadata={"Software": None})
    return True


def _main(outcome: Outcome) -> str | None:
    """The first figure of which more is better, or else the first one."""
    names = outcome.figures
    return next((name for name in names if name in outcome.better), names[0] if names else None)


def _bar(axes: Axes, place: int, result: Result, figure: str, *, ours: bool) -> None:
    values, middle = result.values(figure), result.median(figure) or 0.0
    axes.barh(place, middle, color=OURS if ours else PEERS, height=0.62)
    axes.plot([min(values), max(values)], [place, place], color="#333333", linewidth=1.2)
    axes.annotate(number(middle), (max(values), place), xytext=(5, 0), textcoords="offset points", va="center")
