"""The proofs exchanged with Nylas: PKCE challenges and webhook signatures."""

import base64
import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nylas_api import code_challenge, new_code_verifier, sign, signature_matches

SECRET = "FAKE-WEBHOOK-SECRET-1"
BODY = (
    b'{"specversion":"1.0","type":"grant.expired","source":"/nylas/system","id":"Jppl2rOhtyByNKIQdax3sw",'
    b'"time":1767435600,"webhook_delivery_attempt":1,"data":{"application_id":'
    b'"7c1f0b52-3a94-4f0e-9d6b-5e2a8c41d703","object":{"code":25009,'
    b'"grant_id":"91d4e7ab-2c63-4f18-8e05-7ab9c3d1f042",'
    b'"integration_id":"4e8d1b97-c6a2-4f50-93be-0d7f5a28e6c1","provider":"microsoft",'
    b'"email":"grace.h@example.org","grant_updated_at":1767229200}}}'
)
SIGNATURE = "2224b75746a5e5685f8ef346a99c43631ed91058951f42f1592d9f3439dc4f53"

ZIPPED = base64.b64decode(
    "H4sIAAAAAAACA0VQSW7DIBS9C2vjMHgiq6q7tlKrniDC8J3Q2gYBGawod+93rapL3ueNd5ICmAvE5PxM9oSXjBQkLwHwcYx6ziXcgotg"
    "EU7+HM162M3LqNMuLSnDhAdnEXwNYRTx45SX5+X97eXT6ptM11XNTUjibdNWsm4YK8gV+pP33wcLo0Pv5aAzCoWMvwpiddZkfyca9ZzR"
    "GYMdfg1awwfW14JKrSpaDQyosk1PaxC6MxW3LZNo5/svMHlVMN6isagZU8VWZhNS3FbQ6p4K00gU4h3tgNUUIWWkRZdKrK3mDMj6D1BB"
    "Z3mvWmoaLZBXM6pkD5TZdqi16KAxHHkh+ouzEJExORN98kNGGCbtxm1VA+XpCW56CiOUPh7JX7xzwPZgcY9tMCGUYOzxePwAtNVb0qgB"
    "AAA="
)
ZIPPED_SIGNATURE = "9e54d1f536b5e6a02c48f5ca27e257966edc9b64d3730b28c7032e9f56281591"


@pytest.mark.parametrize(
    ("verifier", "challenge"),
    [
        (
            "nylas",
            "ZTk2YmY2Njg2YTNjMzUxMGU5ZTkyN2RiNzA2OWNiMWNiYTliOTliMDIyZjQ5NDgzYTZjZTMyNzA4MDllNjhhMg",
        ),
        (
            "q7Xv0-example-verifier_0123456789~abcdefghijk.ZYX",
            "Yjk2MmEyY2U0MTU3NzdhZTNmMWIyYWNhYmI1NmY1MjUyYzVhMjIyZTM5MjEwNDkzMTgzODRlZWI2MTRiNTc3ZA",
        ),
    ],
)
def test_the_challenge_is_base64_of_the_hex_digest_without_padding(verifier: str, challenge: str) -> None:
    assert code_challenge(verifier) == challenge


def test_every_verifier_is_new_and_within_the_lengths_of_the_rfc() -> None:
    verifiers = {new_code_verifier() for _ in range(100)}
    assert len(verifiers) == 100
    assert all(43 <= len(verifier) <= 128 for verifier in verifiers)


def test_a_signature_is_lowercase_hex_over_the_raw_bytes() -> None:
    assert sign(SECRET, BODY) == SIGNATURE
    assert signature_matches([SECRET], BODY, SIGNATURE)


def test_a_compressed_body_is_signed_as_it_came() -> None:
    assert gzip.decompress(ZIPPED) == BODY
    assert signature_matches([SECRET], ZIPPED, ZIPPED_SIGNATURE)
    assert not signature_matches([SECRET], ZIPPED, SIGNATURE)


def test_a_body_changed_by_one_space_does_not_match() -> None:
    assert not signature_matches([SECRET], BODY + b" ", SIGNATURE)


def test_the_secret_before_a_rotation_still_matches() -> None:
    assert signature_matches(["NEW-SECRET", SECRET], BODY, SIGNATURE)
    assert not signature_matches(["NEW-SECRET"], BODY, SIGNATURE)


def test_upper_case_and_a_prefix_are_tolerated() -> None:
    assert signature_matches([SECRET], BODY, f"sha256={SIGNATURE.upper()}")


def test_an_empty_secret_matches_nothing() -> None:
    assert not signature_matches([""], BODY, sign("", BODY))
    assert not signature_matches([], BODY, SIGNATURE)


@pytest.mark.parametrize("header", [None, "", "sha256=", "é" * 64, "\uff12" + SIGNATURE[1:], SIGNATURE[:-1]])
def test_a_header_that_is_no_signature_does_not_match(header: str | None) -> None:
    assert not signature_matches([SECRET], BODY, header)


@given(st.text(), st.binary(), st.none() | st.text())
def test_no_header_makes_the_check_raise(secret: str, body: bytes, header: str | None) -> None:
    assert not signature_matches([secret.encode("utf-8", "replace").decode()], body, header)
