"""Secrets are replaced before anything is recorded, and nothing else is."""

import random
import string
from time import monotonic

import pytest

from wasmguard.guest.codec import packed
from wasmguard.redact import check, needs, redacted
from wasmguard.redact_patterns import FORMS, cleaned

HEX = "0123456789abcdef"


def some(length, alphabet=string.ascii_letters + string.digits):
    """A text that looks like chance and is none. Secrets here are put together, so that no scanner finds one."""
    return "".join(random.Random(length).choices(alphabet, k=length))


PEM = f"-----BEGIN RSA {'PRIVATE'} KEY-----\n{some(64)}\n{some(64)}==\n-----END RSA {'PRIVATE'} KEY-----"
FORMED = [
    ("AWS key", "AKIA" + "IOSFODNN7EXAMPLE"),
    ("AWS key", "ASIA" + some(16, string.ascii_uppercase)),
    *(("GitHub token", f"gh{letter}_" + some(36)) for letter in "pousr"),
    ("GitHub token", "github_pat_" + some(22) + "_" + some(59)),
    ("GitLab token", "glpat-" + some(20)),
    ("GitLab token", "glpat-" + some(27) + ".01." + some(9)),
    ("Slack token", "xoxb-" + some(12, string.digits) + "-" + some(24)),
    ("Slack token", "xapp-1-" + some(20)),
    ("API key", "sk-" + some(48)),
    ("API key", "sk-proj-" + some(60)),
    ("API key", "sk-ant-api03-" + some(40) + "-_" + some(40)),
    ("Google key", "AIza" + some(35)),
    ("npm token", "npm_" + some(36)),
    ("Hugging Face token", "hf_" + some(34)),
    ("PyPI token", "pypi-AgEIcHlwaS5vcmc" + some(80)),
    ("Stripe key", "sk_live_" + some(24)),
    ("Stripe key", "rk_live_" + some(24)),
    ("SendGrid key", "SG." + some(22) + "." + some(43)),
    ("JWT", "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxIn0." + some(43)),
    ("private key", PEM),
    ("private key", PEM.replace("\n", "\\n")),
    ("private key", PEM[:100]),
    ("private key", PEM.replace("RSA ", "")),
]
NAMED = [
    ("password", "export DB_PASSWORD={}"),
    ("password", 'password="{}"'),
    ("password", "password: {}"),
    ("password", "PGPASSWORD={} psql -h db"),
    ("password", "curl -d 'user=me&password={}&x=1'"),
    ("password", '{{"passwd": "{}", "user": "me"}}'),
    ("password", 'echo "{{\\"password\\": \\"{}\\"}}"'),
    ("password", "passphrase = '{}'"),
    ("token", 'token = """{}"""'),
    ("password", 'password: str = "{}"'),
    ("password", 'if password == "{}":'),
    ("password", "mysql --password {} db"),
    ("password", "mysql --password={} db"),
    ("password", "gpg --batch --passphrase '{}' -c x"),
    ("password", "git clone https://me:{}@example.com/x"),
    ("password", "redis://:{}@host:6379/0"),
    ("secret", "client_secret={}"),
    ("secret", "SECRET_KEY_BASE={}"),
    ("secret", 'clientSecret: "{}",'),
    ("secret", "aws_secret_access_key = {}"),
    ("secret", "--client-secret {}"),
    ("token", "TOKEN={}"),
    ("token", "CI_JOB_TOKEN: {}\nnext: 1"),
    ("token", "auth_token => '{}'"),
    ("token", 'os.environ["API_TOKEN"] = "{}"'),
    ("token", "--auth-token {}"),
    ("key", "api_key={}"),
    ("key", "apiKey: '{}'"),
    ("key", "x-api-key: {}"),
    ("key", 'curl -H "X-Api-Key: {}" https://example.com'),
    ("key", "PRIVATE_KEY='{}'"),
    ("key", "AWS_ACCESS_KEY={}"),
    ("authorization", 'curl -H "Authorization: Bearer {}"'),
    ("authorization", "authorization: Basic {}"),
    ("authorization", '{{"Authorization": "Bearer {}"}}'),
    ("authorization", "Authorization={}"),
]
INNOCENT = [
    "max_tokens: 4096",
    "token_count = 12",
    "the token: it is read by the server",
    "tokenizer = Tokenizer()",
    "token = get_token(user)",
    "token=token, password=user.password",
    "api_key = os.environ['KEY_NAME']",
    "client(api_key=settings.API_KEY)",
    'password: "$PASSWORD"',
    'curl -H "Authorization: Bearer $TOKEN"',
    "https://me:$TOKEN@example.com",
    "https://example.com:8080/a@b",
    "PASSWORD=${DB_PASSWORD}",
    "password: true",
    '"secret": null',
    "token: str",
    "def login(password: str, token: str | None) -> bool:",
    "--password-stdin",
    "--token-file /etc/x",
    "secretary: Ann",
    "keyboard=us",
    "monkey: business",
    "public_key=abcdefgh",
    "a task-based disk-image of sk-learn",
    "AKIA is how they begin",
    "ghp_short",
    'eyJ is {" in base64',
    "<your-token>",
    "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
    "",
    "plain words, and no more",
]


@pytest.mark.parametrize(("kind", "secret"), FORMED)
@pytest.mark.parametrize("around", ["{}", "echo {} | cat", '{{"x":"{}"}}', "x={}\n"])
def test_a_secret_is_known_by_its_form(kind, secret, around):
    text = around.format(secret)
    if secret == PEM[:100]:
        text = secret
    assert redacted(text) == (text.replace(secret, f"[redacted: {kind}]"), True)
    assert needs(packed(text))


@pytest.mark.parametrize(("kind", "text"), NAMED)
def test_a_secret_is_known_by_its_name(kind, text):
    secret = "hunter2xyz"
    assert redacted(text.format(secret)) == (text.format(f"[redacted: {kind}]"), True)
    assert needs(packed(text.format(secret)))


@pytest.mark.parametrize("text", INNOCENT)
def test_what_is_no_secret_stays(text):
    assert redacted(text) == (text, False)


def test_a_passphrase_with_blanks_goes_whole():
    assert redacted("a: 1\npassword: correct horse battery\nb: 2")[0] == "a: 1\npassword: [redacted: password]\nb: 2"


def test_a_quoted_secret_goes_to_its_closing_quote():
    assert redacted(r'password="one \" two" x')[0] == 'password="[redacted: password]" x'
    assert redacted('password="cut off')[0] == 'password="[redacted: password]'


@pytest.mark.parametrize(
    ("field", "kind"),
    [
        ("password", "password"),
        ("DB_PASSWD", "password"),
        ("clientSecret", "secret"),
        ("auth-token", "token"),
        ("apiKey", "key"),
        ("Authorization", "authorization"),
    ],
)
def test_a_field_with_such_a_name_goes_whole(field, kind):
    value = {"tool_input": {field: "with blanks and all", "other": "stays"}}
    assert redacted(value) == ({"tool_input": {field: f"[redacted: {kind}]", "other": "stays"}}, True)
    assert needs(packed(value))


def test_all_that_such_a_field_holds_goes():
    value = {"password": [{"old": "abc", "new": 12345678}, True, None]}
    gone = "[redacted: password]"
    assert redacted(value) == ({"password": [{"old": gone, "new": gone}, True, None]}, True)


@pytest.mark.parametrize("value", ["", "$TOKEN", "${TOKEN}", "{{ token }}", "<token>", 512, None, False, "none"])
def test_a_field_that_holds_no_secret_stays(value):
    assert redacted({"token": value}) == ({"token": value}, False)


@pytest.mark.parametrize("field", ["max_tokens", "tokenizer", "keyboard", "secretary", "monkey", "token_file", "key"])
def test_a_field_with_another_name_stays(field):
    assert redacted({field: "abcdefgh"}) == ({field: "abcdefgh"}, False)


def test_what_a_flag_in_a_list_of_arguments_says_goes():
    given = ["mysql", "--password", some(9), "-token", some(8), "--verbose", "db", "--password=x", "table"]
    made, changed = redacted({"argv": given})
    assert (made["argv"][2], made["argv"][4], changed) == ("[redacted: password]", "[redacted: token]", True)
    assert [made["argv"][place] for place in (0, 1, 3, 5, 6, 8)] == [given[place] for place in (0, 1, 3, 5, 6, 8)]


def test_the_value_beside_such_a_name_goes():
    given = [{"name": "DB_PASSWORD", "value": some(9)}, {"key": "Authorization", "value": some(9)}]
    made, _ = redacted([*given, {"name": "HOME", "value": "/root/somewhere"}, {"name": 1, "value": "x"}])
    assert [pair["value"] for pair in made] == [
        "[redacted: password]",
        "[redacted: authorization]",
        "/root/somewhere",
        "x",
    ]


def test_a_secret_in_bytes_goes_and_other_bytes_stay():
    made, changed = redacted({"state": b"\xff\x00token=" + some(12).encode() + b"\n\xfe", "other": b"\xff\x00"})
    assert (made, changed) == ({"state": b"\xff\x00token=[redacted: token]\n\xfe", "other": b"\xff\x00"}, True)


def test_a_key_of_a_map_may_be_a_secret_and_none_gets_lost():
    one, two = "ghp_" + some(36), "ghp_" + some(37)
    made, changed = redacted({one: 1, two: 2})
    assert (list(made.values()), changed) == ([1, 2], True)
    assert not any(secret in str(made) for secret in (one, two))


def test_what_is_given_is_not_touched():
    value = {"a": ["password=hunter2", {"b": (1, 2.5, None, True, b"x")}]}
    made, _ = redacted(value)
    assert value["a"][0] == "password=hunter2"
    assert made == {"a": ["password=[redacted: password]", {"b": [1, 2.5, None, True, b"x"]}]}


def test_what_is_redacted_stays_as_it_is():
    for template in (text for _, text in NAMED):
        once, _ = redacted(template.format("hunter2xyz"))
        assert redacted(once) == (once, False)


def test_letters_that_only_fold_to_ascii_are_no_names():
    """`K` (Kelvin) and long s: `needs` looks at bytes."""
    for name in ("to\u212aen", "pa\u017f\u017fword"):
        assert redacted({name: "abcdefgh", "x": f"{name}=abcdefgh"})[1] is False


def test_whatever_is_replaced_the_fast_look_has_found():
    chance = random.Random(8)
    parts = [secret for _, secret in FORMED] + [text.format("hunter2") for _, text in NAMED] + INNOCENT
    parts += ["://", "@", ":", "=", '"', "\\", " ", "_", "-", "\n", "--", "[", "password", "token", "api_key", "ghp_"]
    found = 0
    for _ in range(3000):
        text = "".join(part[: chance.choice((3, 9, 999))] for part in chance.choices(parts, k=3))
        for value in (text, {text[:40]: text}, {"password": text}):
            changed = redacted(value)[1]
            found += changed
            assert needs(packed(value)) or not changed, value
    assert found > 1000


def test_most_records_end_with_the_fast_look():
    uuid = "-".join(some(length, HEX) for length in (8, 4, 4, 4, 12))
    fields = {"hook_event_name": "PreToolUse", "session_id": uuid, "tool_name": "Bash", "permission_mode": "default"}
    fields |= {
        "tool_use_id": "toolu_01" + some(22),
        "tool_input": {"command": "git status && ls -la src/", "timeout": 5},
    }
    assert not needs(packed(fields))
    assert not needs(packed({"text": "a_b-" * 2**16}))


def test_every_form_can_be_told():
    assert {kind for kind, _ in FORMED} == {*FORMS, "private key"}


HOSTILE = ["token=", "password='", "--api-", "-----BEGIN A ", "-eyJ", "-eyJaaaaaaaaaaaa.", "://a:", "authorization: "]
HOSTILE += [
    "secret.access.",
    "\n password: a",
    '\\"password',
    "xoxb.xoxb-",
    "token: a[",
    "token:        ",
    "--a-a-a-a-",
]
HOSTILE += ["-----BEGIN PRIVATE KEY-----", "-sk-", "token=a.a.a.a.a.", "-SG.aaaaaaaaaaaaaaaaaaaa", "password: a b c d "]


@pytest.mark.parametrize("unit", HOSTILE)
def test_no_text_makes_it_hang(unit):
    begun = monotonic()
    cleaned(unit * (100_000 // len(unit)))
    assert monotonic() - begun < 5  # 0.05 s; what is quadratic takes minutes


def test_five_megabytes_take_seconds():
    begun = monotonic()
    cleaned('password="' + "-eyJ" * 1_250_000)
    assert monotonic() - begun < 30


def test_an_owner_has_patterns_of_his_own():
    assert redacted(["ACME-12345678", "x"], ["ACME-[0-9]{8}"]) == (["[redacted: own pattern]", "x"], True)


def test_an_owners_pattern_is_no_template():
    assert redacted(r"a\1b", [r"\\1"])[0] == "a[redacted: own pattern]b"


@pytest.mark.parametrize(
    "fine",
    [
        "ACME-[0-9]{8}",
        "(?i)acme[a-z]+",
        "x(?:a|b)+",
        "x(?>ab)y?z",
        "[a-z]{1,64}_(?:ab|c[d-f]*)",
        r"\bX\d{3,5}\b",
        "(?:ab|cd)x",
    ],
)
def test_a_pattern_that_can_be_used_is_fine(fine):
    check(fine)


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ("(", "`(` is no regular expression: missing ), unterminated subpattern"),
        ("a*", "`a*` matches the empty text: say what must be there"),
        ("", "`` matches the empty text"),
        ("x(a+)+$", "`x(a+)+$` repeats what repeats"),
        ("x(?:ab{2,9}){3}", "repeats what repeats"),
        ("(?:a?){30}x", "repeats what repeats"),
        ("(?:a|aa)+b", "repeats a choice, and could run for hours: repeat one thing, like `[a-z0-9]`"),
        ("[a-z]+S", "repeats without a bound before its end, and could run for hours: write `{1,64}` there"),
        ("a.*b.*c", "repeats without a bound before its end"),
        ("(?=x+)y", "repeats without a bound before its end"),
        ("a{9000}", "repeats without a bound before its end"),
        ("[a-z]{1,64}[a-z]{1,65}S", "`[a-z]{1,64}[a-z]{1,65}S` can match in 4_160 ways"),
        ("(x)?(?(1)a|b)", "asks whether a group matched"),
    ],
)
def test_one_that_cannot_says_what_to_write(pattern, told):
    with pytest.raises(ValueError, match=r"^`") as caught:
        check(pattern)
    assert told in str(caught.value)


def test_the_file_of_accounts_is_no_password():
    for text in ('"/etc/passwd": "/etc" needs your consent', "mount /etc/passwd:ro"):
        assert redacted(text) == (text, False)
