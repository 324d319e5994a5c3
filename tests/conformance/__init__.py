"""Conformance: Nylas' own SDKs, and our client, against the simulator, read beside Nylas' OpenAPI document."""

import pytest

pytest.register_assert_rewrite("tests.conformance.python_auth", "tests.conformance.python_admin")
