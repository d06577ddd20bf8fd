"""Signatures against what AWS published, and against what botocore 1.43 made of requests like ours."""

from __future__ import annotations

import pytest

from riverrun.backends.credentials_sigv4 import Keys, Scope, keys, region, signed

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
SUITE = Keys("AKIDEXAMPLE", SECRET)
NOON = 1440938160.9  # 2015-08-30 12:36:00 UTC; parts of a second are not written
FORM = {"content-type": "application/x-www-form-urlencoded"}
GUIDE = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}

# AWS's test suite for Signature Version 4: method, path, headers, body, signature.
PUBLISHED = {
    "get-vanilla": ("GET", "/", {}, b"", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
    "post-vanilla": ("POST", "/", {}, b"", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
    "get-vanilla-query-order-key-case": (
        "GET", "/?Param2=value2&Param1=value1", {}, b"",
        "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
    ),
    "post-x-www-form-urlencoded": (
        "POST", "/", FORM, b"Param1=value1", "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_suite(name: str) -> None:
    method, path, more, body, signature = PUBLISHED[name]
    headers = {"host": "example.amazonaws.com", **more}
    made = dict(signed(method, path, headers, body, SUITE, Scope("us-east-1", "service"), NOON))
    names = ";".join(sorted([*more, "host", "x-amz-date"]))
    assert made == {
        "x-amz-date": "20150830T123600Z",
        "authorization": "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders={names}, Signature={signature}",
    }


def test_the_example_of_the_signing_guide() -> None:
    headers = {"host": "iam.amazonaws.com", **GUIDE}
    path = "/?Action=ListUsers&Version=2010-05-08"
    made = dict(signed("GET", path, headers, b"", SUITE, Scope("us-east-1", "iam"), NOON))
    assert made["authorization"].endswith("=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7")


BEDROCK = {"host": "bedrock-runtime.us-east-1.amazonaws.com", "content-type": "application/json"}
CONVERSE = "/model/anthropic.claude-3-haiku-20240307-v1%3A0/converse-stream"


def test_a_request_to_bedrock_with_a_session() -> None:
    """The path's %3A is encoded once more in what is signed; the other headers are left alone."""
    lent = Keys("AKIDEXAMPLE", SECRET, "SESSION/TOKEN==")
    headers = {**BEDROCK, "user-agent": "riverrun/1", "accept": "*/*"}
    assert dict(signed("POST", CONVERSE, headers, b'{"messages":[]}', lent, Scope("us-east-1"), NOON)) == {
        "x-amz-date": "20150830T123600Z",
        "x-amz-security-token": "SESSION/TOKEN==",
        "authorization": "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/bedrock/aws4_request, "
        "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, "
        "Signature=4a18cf153289e378e7970c4194ec66801e6c8b7112c48ea40b7a156fee60a208",
    }


@pytest.mark.parametrize("what", ["method", "path", "host", "body", "secret", "region", "time"])
def test_a_signature_covers(what: str) -> None:
    def signature(changed: str = "") -> str:
        made = signed(
            "PUT" if changed == "method" else "POST",
            CONVERSE + "x" * (changed == "path"),
            {**BEDROCK, **({"host": "h"} if changed == "host" else {})},
            b"{ }" if changed == "body" else b"{}",
            Keys("AKIDEXAMPLE", SECRET + "x" * (changed == "secret")),
            Scope("eu-west-1" if changed == "region" else "us-east-1"),
            NOON + (changed == "time"),
        )
        return dict(made)["authorization"].rpartition("=")[2]

    assert signature() != signature(what)


NAMED = {"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "S"}


@pytest.mark.parametrize(
    ("key", "environ", "found"),
    [
        ("A:S", {}, Keys("A", "S")),
        ("A:S:T", {"AWS_BEARER_TOKEN_BEDROCK": "B"}, Keys("A", "S", "T")),
        ("ABSK-key", NAMED, "ABSK-key"),
        (None, {**NAMED, "AWS_BEARER_TOKEN_BEDROCK": "B"}, "B"),
        (None, NAMED, Keys("A", "S")),
        (None, {**NAMED, "AWS_SESSION_TOKEN": "T"}, Keys("A", "S", "T")),
        (None, {"AWS_ACCESS_KEY_ID": "A"}, None),
        (None, {**NAMED, "AWS_ACCESS_KEY_ID": ""}, None),
        (None, {}, None),
    ],
)
def test_where_keys_come_from(key: str | None, environ: dict[str, str], found: Keys | str | None) -> None:
    assert keys(key, environ) == found


@pytest.mark.parametrize(
    ("host", "environ", "found"),
    [
        ("bedrock-runtime.eu-west-3.amazonaws.com", {"AWS_REGION": "us-east-1"}, "eu-west-3"),
        ("bedrock-runtime-fips.us-gov-west-1.amazonaws.com", {}, "us-gov-west-1"),
        ("bedrock-runtime.us-east-1.api.aws", {}, "us-east-1"),
        ("vpce-0a1b-x.bedrock-runtime.ap-southeast-2.vpce.amazonaws.com", {}, "ap-southeast-2"),
        ("gateway.example", {"AWS_REGION": "eu-north-1", "AWS_DEFAULT_REGION": "us-east-1"}, "eu-north-1"),
        ("gateway.example", {"AWS_DEFAULT_REGION": "us-east-1"}, "us-east-1"),
        ("notbedrock-runtime.eu-west-3.amazonaws.com", {}, None),
        ("gateway.example", {}, None),
    ],
)
def test_the_region(host: str, environ: dict[str, str], found: str | None) -> None:
    assert region(host, environ) == found


def test_keys_have_no_text() -> None:
    assert SECRET not in f"{SUITE} {SUITE!r} {[SUITE]}"
