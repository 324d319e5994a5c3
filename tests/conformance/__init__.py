"""Conformance: Nylas' own SDKs, and our client, against the simulator, read beside Nylas' OpenAPI document."""

import pytest

STEPS = ("client_auth", "client_admin", "python_auth", "python_admin")

pytest.register_assert_rewrite(*(f"tests.conformance.{name}" for name in STEPS))
