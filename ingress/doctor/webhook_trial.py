"""Trying out a webhook: whether Nylas knows it, it answers the challenge, and on demand a test event arrives."""

import secrets

import aiohttp
import typer

from ingress.doctor import nylas as checks
from ingress.doctor.findings import Finding, beware, put, well, wrong
from worker.runtime import Runtime

PATIENCE = aiohttp.ClientTimeout(total=10)


async def try_webhook(runtime: Runtime, url: str | None, *, send: bool, trigger: str, as_json: bool) -> None:
    """Try out our webhook, or another URL; exits with 1 if anything is wrong."""
    url = url or runtime.settings.webhook_url
    webhooks = runtime.context.nylas.webhooks
    findings = [checks.webhook((await webhooks.list()).data, url), await challenged(url)]
    if send:
        taken = (await webhooks.send_test_event(trigger, webhook_url=url)).data
        findings.append(test_event(taken, is_ours=url == runtime.settings.webhook_url))
    put(findings, as_json=as_json)
    if any(finding.ok is False for finding in findings):
        raise typer.Exit(1)


async def challenged(url: str) -> Finding:
    """Call the URL from here as Nylas does before it makes a webhook active.

    It must answer 200 with exactly the value, within 10 s, and not in chunks (Nylas: "Verify a webhook endpoint").
    """
    value = secrets.token_urlsafe(18)
    fix = f"see that web runs, and that the proxy passes it what comes to {url}"
    try:
        async with (
            aiohttp.ClientSession(timeout=PATIENCE) as session,
            session.get(url, params={"challenge": value}, allow_redirects=False) as answer,
        ):
            status, in_chunks = answer.status, "Transfer-Encoding" in answer.headers
            body = await answer.content.read(1024)
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        # Not wrong for sure: a machine need not reach itself by its public address.
        detail = f"from this machine it can't be reached ({type(error).__name__})"
        return beware("challenge", detail, f"if Nylas can't either: {fix}")
    if status != 200:
        return wrong("challenge", f"it was answered with {status} instead of 200", fix)
    if body != value.encode():
        return wrong("challenge", "it was answered with something else than its value", fix)
    if in_chunks:
        return wrong("challenge", "it was answered in chunks, which Nylas does not take", "have the proxy not do so")
    return well("challenge", "it was answered as Nylas wants it, when asked from here")


def test_event(taken: bool | None, *, is_ours: bool) -> Finding:
    """What Nylas says of a test event. It is signed by a fixed secret that everybody knows, so ours must refuse it."""
    if not is_ours:
        if taken is False:
            return wrong("test event", "Nylas sent it, and it was not answered with 200", "see the log of the receiver")
        return well("test event", "Nylas sent it" + (", and it was taken" if taken else ""))
    if taken:
        return wrong(
            "test event",
            "web took it, so web believes what is signed by the secret of all test events, which everybody knows",
            "take mock-webhook-secret out of EVERGRANT_NYLAS_WEBHOOK_SECRET",
        )
    return beware(
        "test event",
        "Nylas sent it, and it was refused, as it must be: all test events are signed by one secret that everybody "
        "knows, mock-webhook-secret, and web answers them with 401",
        "look into the log of web: webhook.bad_signature (without a secret: webhook.not_stored) shows that it arrived",
    )
