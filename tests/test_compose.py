"""What the documents and the container files say, held against what there is."""

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.specifiers import SpecifierSet
from redis import Redis
from sqlalchemy import text

from ingress.embedded import FOR_FLOODS
from ingress.web import make_web
from models.database import Database
from tests.commands import leaf
from worker.settings import PREFIX, Settings, read

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
COMPOSE_TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(COMPOSE_TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = ("migrate", "web", "worker", "beat")
DOCKERFILE = (ROOT / "Dockerfile").read_text()
ENV_EXAMPLE = (ROOT / ".env.example").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
DECISIONS = sorted((ROOT / "docs" / "adr").glob("*.md"))
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "docs" / "operations.md", *DECISIONS]
SETTINGS = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
FILLED_IN = {
    "EVERGRANT_NYLAS_API_KEY": "nyk_x",
    "EVERGRANT_NYLAS_CLIENT_ID": "client",
    "EVERGRANT_PUBLIC_URL": "https://evergrant.example.com",
    "EVERGRANT_SECRET_KEYS": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
    "POSTGRES_PASSWORD": "0123abcd",
}
# Asked in a process of its own, since an app that was made stays the current one.
LOCK_KEY = "import redbeat.schedulers as s, worker.app as a; print(s.RedBeatConfig(a.make_app('')).lock_key)"
VARIABLE = re.compile(r"\$\{(\w+)(?::([?-])([^}]*))?\}")


def interpolated(value: str, environ: dict[str, str]) -> str:
    """A value of the compose file, as Compose reads it; KeyError where it asks for a variable that is not set."""

    def of(match: re.Match[str]) -> str:
        name, how, rest = match.groups()
        return environ[name] if how == "?" else environ.get(name) or rest or ""

    return VARIABLE.sub(of, value)


def settings_named(source: str) -> set[str]:
    """Each name with our prefix in a text, but for the prefix itself."""
    return set(re.findall(rf"\b{PREFIX}[A-Z_]*[A-Z]\b", source))


def blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of a page in one language."""
    return re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)


def section(page: str, title: str) -> str:
    """What stands under a heading of the second level."""
    _, _, rest = page.partition(f"\n## {title}\n")
    return rest.partition("\n## ")[0]


def rows(page: str, title: str) -> list[list[str]]:
    """The cells of the table under a heading, without its head."""
    lines = [line for line in section(page, title).splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def health_code(service: str) -> str:
    """The Python program of a health check."""
    test = SERVICES[service]["healthcheck"]["test"]
    assert test[:3] == ["CMD", "python", "-c"]
    return str(test[3])


def healthy(service: str, python: str, **environ: str) -> bool:
    """Run a health check as Compose would."""
    done = subprocess.run([python, "-c", health_code(service)], env=environ, cwd=ROOT, check=False, capture_output=True)
    assert b"SyntaxError" not in done.stderr
    assert b"ModuleNotFoundError" not in done.stderr
    return done.returncode == 0


@pytest.fixture
def composed(monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The settings that our services get from the compose file, with no more than what it asks for filled in."""
    for name, value in SERVICES["web"]["environment"].items():
        monkeypatch.setenv(name, interpolated(value, FILLED_IN))
    return read()


def test_all_parts_are_there_and_ours_share_one_image_and_one_environment() -> None:
    assert set(SERVICES) == {"postgres", "redis", *OURS}
    assert len({SERVICES[name]["image"] for name in OURS}) == 1
    assert all(SERVICES[name]["environment"] == SERVICES["web"]["environment"] for name in OURS)


@pytest.mark.parametrize("service", OURS)
def test_each_service_runs_a_command_that_there_is(service: str) -> None:
    command, arguments = leaf(SERVICES[service]["command"])
    command.make_context(service, list(arguments))


def test_the_environment_of_compose_is_one_that_the_settings_take(composed: Settings) -> None:
    assert not composed.uses_sqlite
    assert composed.redis_url.startswith("redis://redis:")


def test_compose_asks_for_what_is_needed_and_names_no_secret_itself() -> None:
    asked_for = {name for name, how, _ in VARIABLE.findall(COMPOSE_TEXT) if how == "?"}
    assert asked_for == set(FILLED_IN)
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            if re.search("KEY|SECRET|PASSWORD", name):
                assert VARIABLE.fullmatch(value), name
    assert re.search(r"//evergrant:\$\{POSTGRES_PASSWORD:\?[^}]*\}@", COMPOSE_TEXT)


def test_every_setting_that_is_named_is_one_and_the_readme_names_all() -> None:
    for source in (COMPOSE_TEXT, ENV_EXAMPLE, DOCKERFILE, README, OPERATIONS):
        assert settings_named(source) <= SETTINGS
    assert {row[0].strip("`") for row in rows(README, "Settings")} == SETTINGS
    assert settings_named(ENV_EXAMPLE) == SETTINGS


def test_the_readme_says_what_is_needed_and_the_defaults() -> None:
    for name, needed, default, _ in rows(README, "Settings"):
        field = Settings.model_fields[name.strip("`").removeprefix(PREFIX).lower()]
        assert (needed == "yes") == field.is_required(), name
        if isinstance(field.default, str | float) and field.default:
            shown = f"{field.default:g}" if isinstance(field.default, float) else field.default
            assert default == f"`{shown}`", name


def test_the_env_example_holds_no_value_that_counts() -> None:
    set_there = [line for line in ENV_EXAMPLE.splitlines() if line and not line.startswith("#")]
    assert all(line.endswith("=") for line in set_there)
    assert {line.rstrip("=") for line in set_there} == {*FILLED_IN, "EVERGRANT_NYLAS_WEBHOOK_SECRET"}
    assert {name for name, _, _ in VARIABLE.findall(COMPOSE_TEXT)} <= set(re.findall(r"^#? ?(\w+)=", ENV_EXAMPLE, re.M))


def test_whatever_runs_on_is_started_again_and_the_migration_runs_once() -> None:
    assert SERVICES["migrate"]["restart"] == "no"
    assert {service["restart"] for name, service in SERVICES.items() if name != "migrate"} == {"unless-stopped"}
    for name in OURS[1:]:
        assert SERVICES[name]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
        assert SERVICES[name]["depends_on"]["redis"]["condition"] == "service_healthy"
    assert SERVICES["migrate"]["depends_on"]["postgres"]["condition"] == "service_healthy"


@pytest.mark.parametrize("service", OURS)
def test_our_services_may_do_nothing_that_they_need_not(service: str) -> None:
    ours = SERVICES[service]
    assert ours["user"] == "10001:10001"
    assert ours["read_only"] is True
    assert ours["cap_drop"] == ["ALL"]
    assert ours["security_opt"] == ["no-new-privileges:true"]


def test_nothing_but_web_is_published_and_that_on_this_machine_only() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["web"]
    assert interpolated(SERVICES["web"]["ports"][0], {}) == "127.0.0.1:8000:8000"


def test_redis_refuses_rather_than_forgets_and_keeps_its_data() -> None:
    command = SERVICES["redis"]["command"]
    told = dict(zip(command[1::2], command[2::2], strict=True))
    assert told["--maxmemory-policy"] == "noeviction"
    assert told["--appendonly"] == "yes"


def test_postgres_is_told_the_same_as_the_one_that_we_start_ourselves() -> None:
    assert SERVICES["postgres"]["command"] == ["postgres", *(part for each in FOR_FLOODS for part in ("-c", each))]


def test_every_part_that_runs_on_has_a_health_check() -> None:
    assert {name for name, service in SERVICES.items() if "healthcheck" in service} == set(SERVICES) - {"migrate"}
    assert SERVICES["postgres"]["healthcheck"]["test"][1] == "pg_isready"
    assert SERVICES["redis"]["healthcheck"]["test"][1:] == ["valkey-cli", "ping"]


def test_what_web_is_asked_and_what_nylas_is_told_are_addresses_that_web_serves(composed: Settings) -> None:
    served = {getattr(route, "path", "") for route in make_web(composed, redis_url=composed.redis_url).routes}
    asked = re.search(r"http://127\.0\.0\.1:8000(/\w+)", health_code("web"))
    assert asked
    assert asked[1] in served
    assert set(re.findall(r"PUBLIC_URL(/[a-z/]+)`", README)) - {"/connect/google"} <= served


@pytest.mark.long
def test_beat_is_healthy_while_its_lock_is_held(valkey: str, python: str) -> None:
    url = valkey.rpartition("/")[0] + "/9"
    lock = subprocess.check_output([python, "-c", LOCK_KEY], cwd=ROOT, text=True).strip()
    with Redis.from_url(url) as redis:
        assert not healthy("beat", python, EVERGRANT_REDIS_URL=url)
        redis.set(lock, "held", px=60_000)
        assert healthy("beat", python, EVERGRANT_REDIS_URL=url)
        redis.delete(lock)


@pytest.mark.long
def test_a_worker_that_is_not_there_is_not_healthy(valkey: str, python: str) -> None:
    assert not healthy("worker", python, EVERGRANT_REDIS_URL=valkey)


def test_the_image_is_built_on_a_python_that_we_support_from_hashes_only_and_is_not_roots() -> None:
    bases = re.findall(r"^FROM python:([\d.]+)-slim", DOCKERFILE, re.M)
    assert len(bases) == len(re.findall(r"^FROM", DOCKERFILE, re.M)) == 2
    assert all(SpecifierSet(PROJECT["project"]["requires-python"]).contains(f"{base}.0") for base in bases)
    installs = re.findall(r"pip install ([^\n\\]*)", DOCKERFILE)
    assert len(installs) == 3
    assert all("--require-hashes" in install or "--no-index" in install for install in installs)
    assert re.findall(r"^USER (.*)$", DOCKERFILE, re.M) == [SERVICES["web"]["user"]]


def test_the_build_backend_that_the_image_takes_is_in_the_lock() -> None:
    wanted = re.search(r"\\\((.*?)\\\)==", DOCKERFILE)
    assert wanted
    names = wanted[1].split(r"\|")
    assert "hatchling" in names
    assert all(re.search(rf"^{name}==", (ROOT / "requirements-dev.lock").read_text(), re.M) for name in names)


def test_the_image_gets_every_package_and_nothing_that_is_secret() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in ignored
    let_in = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    packages = set(PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])
    assert let_in == {*packages, "pyproject.toml", "README.md", "requirements.lock", "requirements-dev.lock"}


async def test_the_statements_in_the_pages_run_on_both_databases(database: Database) -> None:
    statements = [part for block in blocks(OPERATIONS, "sql") for part in block.split(";") if part.strip()]
    assert statements
    for statement in statements:
        async with database.writing() as session:
            await session.execute(text(statement))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(((?!https?:)[^)#]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", DECISIONS, ids=lambda page: page.stem)
def test_every_test_that_a_decision_is_enforced_by_is_there(page: Path) -> None:
    enforced = section(page.read_text(), "Enforced by")
    files = re.findall(r"`(tests/\w+\.py)`", enforced)
    defined = {name for file in files for name in re.findall(r"def (test_\w+)", (ROOT / file).read_text())}
    assert files
    assert set(re.findall(r"`(test_\w+)`", enforced)) <= defined
