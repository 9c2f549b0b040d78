"""What prompt-guard finds and what it leaves alone, in texts that were made for the test."""

import base64
import json
import random
import string
import uuid

import pytest

from tests.policies.asking import Guests, answered
from wasmguard.decision import Effect
from wasmguard.guest.outputs import rebuilt

ALNUM = string.ascii_letters + string.digits
URL = ALNUM + "_-"
SHAPES = {  # prefix, alphabet and length of what follows it
    "aws access key": ("AK" + "IA", string.ascii_uppercase + "234567", 16),
    "github token": ("gh" + "p_", ALNUM, 36),
    "gitlab token": ("gl" + "pat-", URL, 20),
    "slack token": ("xo" + "xb-4", ALNUM + "-", 50),
    "openai api key": ("s" + "k-proj-", ALNUM, 120),
    "anthropic api key": ("s" + "k-ant-api03-", ALNUM, 93),
    "stripe key": ("s" + "k_live_", ALNUM, 24),
    "npm token": ("np" + "m_", ALNUM, 36),
    "pypi token": ("py" + "pi-AgEIcHlwaS5vcmc", URL, 150),
    "google api key": ("AI" + "za", URL, 35),
    "hugging face token": ("h" + "f_", string.ascii_letters, 34),
}
AROUND = [
    ("", ""),
    ("export T=", "\n"),
    ('{"a": "', '"}'),
    ("Bearer ", ", x"),
    ("a\\n", "\\n"),
    ("\x1b[1;31m", "\x1b[0m"),
    ("é", "é"),
]
NONE_OF_THESE = "x"  # stands around everything in a text that has no secret


@pytest.fixture(scope="module")
def guard():
    return Guests()["prompt-guard"]


@pytest.fixture
def dice(request):
    return random.Random(request.node.name)


def asked(guard, event, **settings):
    return answered(guard, "prompt-guard", {"event": event, "settings": settings})[0]


def prompt(text):
    return {"hook_event_name": "UserPromptSubmit", "prompt": text}


def output(given):
    return {"hook_event_name": "PostToolUse", "tool_name": "Bash", "tool_response": given}


def made(dice, kind):
    prefix, alphabet, size = SHAPES[kind]
    return prefix + "".join(dice.choices(alphabet, k=size - 1)) + dice.choice(ALNUM[:26].upper())


@pytest.mark.parametrize("kind", SHAPES)
def test_a_token_is_found_wherever_it_stands_and_never_repeated(guard, dice, kind):
    for before, after in AROUND * 5:
        secret = made(dice, kind)
        answer = asked(guard, prompt(before + secret + after))
        assert (answer.effect, kind in answer.reason) == (Effect.DENY, True), before + secret + after
        assert secret not in answer.reason


@pytest.mark.parametrize("kind", SHAPES)
def test_what_is_taken_out_of_an_output_is_the_secret_and_nothing_else(guard, dice, kind):
    for before, after in AROUND:
        secret = made(dice, kind)
        given = {
            "stdout": f"α {before}{secret}{after} ω",
            "stderr": "",
            "list": [{"type": "text", "text": secret, "n": 1}, None, 1.5],
        }
        answer = asked(guard, output(given), redact=True)
        assert answer.rewrite_output == {
            "stdout": f"α {before}[redacted: {kind}]{after} ω",
            "list": [{"type": "text", "text": f"[redacted: {kind}]", "n": 1}, None, 1.5],
        }
        assert secret not in json.dumps([answer.reason, *answer.notes])


def test_an_output_without_its_secrets_is_one_that_the_host_takes(guard, dice):
    for _ in range(30):
        secrets = [made(dice, dice.choice(list(SHAPES))) for _ in range(3)]
        given = dice.choice(
            [{"a": secrets, "type": "text"}, [{"type": "text", "text": secrets[0]}, 7], " ".join(secrets)]
        )
        answer = asked(guard, output(given), redact=True)
        new = rebuilt(given, answer.rewrite_output, 65_536)
        assert not any(secret in json.dumps(new) for secret in secrets if secret in json.dumps(given))
        assert asked(guard, output(new), redact=True).rewrite_output is None


def blobs(dice):
    """Texts that look random, and are no secrets."""
    noise = dice.randbytes(3_000)
    yield from (str(uuid.UUID(int=dice.getrandbits(128))) for _ in range(50))
    yield from (noise[:size].hex() for size in (16, 20, 32, 64, 3_000))
    yield base64.b64encode(noise).decode()
    yield "data:image/png;base64," + base64.b64encode(noise).decode()
    yield from (f'"integrity": "sha512-{base64.b64encode(noise[at : at + 64]).decode()}"' for at in range(0, 640, 64))
    yield "h1:" + base64.b64encode(noise[:32]).decode()


@pytest.mark.parametrize("settings", [{}, {"assignments": True}], ids=["shapes", "assignments"])
def test_hashes_identifiers_and_pictures_are_no_secrets(guard, dice, settings):
    for _ in range(10):
        for blob in blobs(dice):
            assert asked(guard, prompt(f"{NONE_OF_THESE} {blob} {NONE_OF_THESE}"), **settings).effect is Effect.PASS, (
                blob
            )


def test_random_values_are_found_where_they_are_assigned(guard, dice):
    found = 0
    for _ in range(200):
        value = "".join(dice.choices(ALNUM, k=32))
        name = dice.choice(["DB_PASSWORD", "api-key", "clientSecret", "token", "AWS_SECRET_ACCESS_KEY"])
        text = dice.choice(["{}={}", "{}: {}", '"{}": "{}"', "{} = '{}'"]).format(name, value)
        answer = asked(guard, prompt(text), assignments=True)
        found += answer.effect is Effect.DENY
        assert value not in answer.reason
    assert found >= 198


def test_a_megabyte_is_read_within_the_limits_that_it_asks_for(guard, dice):
    code = "def f_a(x):\n    return {'key-one': x, 'B': [1, 2]}  # a comment: see A-1\n" * 15_000
    assert len(code) > 1_000_000
    assert asked(guard, prompt(code)).effect is Effect.PASS
    assert asked(guard, prompt(code + made(dice, "github token"))).effect is Effect.DENY
