"""The laws of the house: floors, small modules that say what they are, and what Celery is not used for."""

import ast
import io
import json
import subprocess
import sys
import tokenize
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import tasks
from models.kinds import QUEUES

ROOT = Path(__file__).parent.parent
PACKAGES = ("models", "tasks", "worker", "lifecycle", "nylas_api", "ingress", "simulator")
PRODUCT = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
DRAWERS = {"utils", "util", "helpers", "helper", "common", "core", "base", "misc", "manager", "service", "services"}
CANVAS = {"chord", "group", "chain", "chunks", "AsyncResult", "GroupResult", "ResultSet"}
SENDING = {"apply_async", "send_task", "delay", "signature", "subtask", "s", "si"}


def trees(*packages: str) -> Iterator[tuple[str, ast.Module]]:
    """Each module of the packages, by its path in the repository."""
    for path in PRODUCT:
        name = path.relative_to(ROOT)
        if name.parts[0] in packages:
            yield str(name), ast.parse(path.read_text())


def imports(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """What a module imports, wherever in it: the module's name, and the name taken from it (or nothing)."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from ((alias.name, "") for alias in names)
            case ast.ImportFrom(module=str(module), level=0, names=names):
                yield from ((module, alias.name) for alias in names)


def called(call: ast.Call) -> tuple[str, str]:
    """What is called: the last name before the dot, and the one after it."""
    match call.func:
        case (
            ast.Attribute(value=ast.Name(id=owner), attr=name)
            | ast.Attribute(value=ast.Attribute(attr=owner), attr=name)
        ):
            return owner, name
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return "", name
    return "", ""


def celery_timing(tree: ast.AST) -> Iterator[str]:
    """What leaves time, order or results to Celery: all of it stands in our rows."""
    for module, name in imports(tree):
        if module.partition(".")[0] == "celery" and (name in CANVAS or module in {"celery.canvas", "celery.result"}):
            yield f"imports {name or module} of Celery"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id == "celery" and node.attr in CANVAS:
                yield f"uses celery.{node.attr}"
            if node.attr == "AsyncResult":
                yield "uses AsyncResult"
        if not isinstance(node, ast.Call):
            continue
        owner, name = called(node)
        for keyword in node.keywords:
            if keyword.arg in {"eta", "countdown"} or (keyword.arg == "expires" and name in SENDING):
                yield f"{name}({keyword.arg}=…)"
        if name == "retry" and owner in {"self", "task", "current_task"}:
            yield f"{owner}.retry()"


def unverified(tree: ast.AST) -> Iterator[str]:
    """Where the certificate of a server is not looked at."""
    for node in ast.walk(tree):
        match node:
            case ast.keyword(arg="verify" | "check_hostname", value=ast.Constant(value=False)):
                yield f"{node.arg}=False"
            case ast.keyword(arg="ssl", value=ast.Constant(value=False)):
                yield "ssl=False"
            case ast.Attribute(attr="CERT_NONE"):
                yield "CERT_NONE"


def comments(source: str) -> Iterator[str]:
    """The comments of a module (a string that looks like one is none)."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.string


def test_every_import_points_down_a_floor() -> None:
    """The contracts stand in pyproject.toml."""
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_the_packages_are_there_and_ours() -> None:
    """Their names are plain words that another distribution may have as well."""
    assert {path.relative_to(ROOT).parts[0] for path in PRODUCT} == set(PACKAGES)
    assert Path(tasks.__file__).is_relative_to(ROOT)


def test_no_module_is_longer_than_300_lines() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in PRODUCT + TESTS}
    assert {name: length for name, length in lengths.items() if length > 300} == {}


def test_every_module_opens_with_its_sentence() -> None:
    firsts = {
        str(path.relative_to(ROOT)): (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n")[0]
        for path in PRODUCT + TESTS
    }
    assert {name: first for name, first in firsts.items() if not first.endswith(".") or len(first) > 120} == {}


def test_nothing_is_a_drawer() -> None:
    words = {part.removesuffix(".py") for path in PRODUCT for part in path.relative_to(ROOT).parts}
    assert words & DRAWERS == set()


def test_no_checker_is_silenced() -> None:
    silenced = [
        f"{path.relative_to(ROOT)}: {comment}"
        for path in PRODUCT
        for comment in comments(path.read_text())
        if "noqa" in comment or "type: ignore" in comment or "pragma: no" in comment
    ]
    assert silenced == []


def test_time_order_and_results_are_never_left_to_celery() -> None:
    found = [
        f"{name}: {what}"
        for name, tree in trees("models", "tasks", "worker", "ingress", "lifecycle", "nylas_api")
        for what in celery_timing(tree)
    ]
    assert found == []


def test_only_the_client_of_nylas_knows_httpx() -> None:
    found = {
        name
        for name, tree in trees(*PACKAGES)
        for module, _ in imports(tree)
        if module.partition(".")[0] in {"httpx", "httpx_aiohttp"}
    }
    assert {name for name in found if not name.startswith("nylas_api/")} == set()
    assert found, "the client itself does"


def test_only_the_workers_floor_and_the_tasks_know_celery() -> None:
    """And of the tasks' floor nothing but the decorator."""
    found = {
        (name, taken)
        for name, tree in trees("lifecycle", "nylas_api", "models", "tasks", "simulator")
        for module, taken in imports(tree)
        if module.partition(".")[0] in {"celery", "kombu"}
    }
    assert {
        (name, taken) for name, taken in found if not (name.startswith("tasks/") and taken == "shared_task")
    } == set()


def test_the_rules_know_the_standard_library_only() -> None:
    known = sys.stdlib_module_names | {"lifecycle"}
    found = {module for _, tree in trees("lifecycle") for module, _ in imports(tree)}
    assert {module for module in found if module.partition(".")[0] not in known} == set()


def test_every_certificate_is_verified() -> None:
    found = [f"{name}: {what}" for name, tree in trees(*PACKAGES) for what in unverified(tree)]
    found += [f"{path.name}: {what}" for path in TESTS for what in unverified(ast.parse(path.read_text()))]
    assert found == []


def test_every_kind_is_the_name_of_a_task() -> None:
    """Asked in a process of its own, since an app that was made stays the current one."""
    program = """if True:
        import json
        from worker.app import make_app
        app = make_app("redis://127.0.0.1:1/0")
        app.loader.import_default_modules()
        app.finalize()
        print(json.dumps(sorted(app.tasks)))
    """
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    names = {name for name in json.loads(done.stdout) if not name.startswith("celery.")}
    assert set(QUEUES) <= names


@pytest.mark.parametrize(
    ("law", "source"),
    [
        (celery_timing, "look.apply_async(args=[1], countdown=3)"),
        (celery_timing, "app.send_task('x', eta=tomorrow)"),
        (celery_timing, "app.send_task('x', expires=60)"),
        (celery_timing, "async def f(self):\n    raise self.retry(exc=error)"),
        (celery_timing, "ctx.task.retry()"),
        (celery_timing, "from celery import chord"),
        (celery_timing, "def f():\n    from celery.canvas import group as g"),
        (celery_timing, "from celery.result import AsyncResult"),
        (celery_timing, "app.AsyncResult(task_id).get()"),
        (celery_timing, "import celery\ncelery.chain(a, b)"),
        (unverified, "httpx.AsyncClient(verify=False)"),
        (unverified, "session.get(url, ssl=False)"),
        (unverified, "context.verify_mode = ssl.CERT_NONE"),
    ],
)
def test_a_breach_of_a_law_is_seen(law: Callable[[ast.AST], Iterator[str]], source: str) -> None:
    assert list(law(ast.parse(source)))


@pytest.mark.parametrize(
    ("law", "source"),
    [
        (celery_timing, "from celery import Celery, shared_task"),
        (celery_timing, "from stamina import retry\n@retry(on=OSError)\ndef f(): stamina.retry(on=OSError)"),
        (celery_timing, "asyncio.TaskGroup()\nmatch.group(1)\nitertools.chain(a, b)"),
        (celery_timing, "response.set_cookie('c', expires=60)"),
        (celery_timing, "self.retry_after = 3"),
        (unverified, "jwt.decode(token, verify=True)"),
    ],
)
def test_what_only_looks_like_a_breach_is_let_pass(law: Callable[[ast.AST], Iterator[str]], source: str) -> None:
    assert not list(law(ast.parse(source)))
