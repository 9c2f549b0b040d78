"""Documents as `counting.counted` and `shadows.shadowed` make them, to be told."""

EVIL = '\x1b[2J<script>alert("1")</script>\u202e'


def document(**changes):
    return {
        "since": 1_795_000_000_000,
        "until": 1_795_330_000_000,
        "records": 1_234_567,
        "conditions": {},
        "effects": {"pass": 1_200_000, "allow": 3, "ask": 400, "deny": 20_000},
        "kinds": {"decision": 1_220_403, "off": 2},
        "events": {"PreToolUse": 700_000, "PostToolUse": 520_403},
        "tools": [
            {"tool": "Bash", "calls": 700_000, "denied": 20_000, "asked": 400, "rewritten": 12, "results": 680_000,
             "errors": 3_400, "error_rate": 0.005},
            {"tool": EVIL, "calls": 1, "denied": 0, "asked": 0, "rewritten": 0, "results": 0, "errors": 0,
             "error_rate": None},
        ],
        "policies": [
            {"policy": "guard", "asked": 700_000, "denied": 20_000, "asks": 400, "faults": 3, "fuel": 6_012},
            {"policy": EVIL, "asked": None, "denied": 0, "asks": 0, "faults": 0, "fuel": None},
        ],
        "reasons": [
            {"policy": "guard", "reason": f"not … here {EVIL}" * 20, "n": 20_000},
            {"policy": "wasmguard", "reason": "no rest", "n": 2},
        ],
        "latency": {"p50_us": 181.0, "p90_us": 1_200.0, "p99_us": 35_000.0, "max_us": 2_000_000.0,
                    "histogram": [[181.0, 1_000], [200.0, 5], [35_000.0, 1]]},
        "days": [{"day": f"2026-11-{day:02}", "decisions": day * 100, "denied": day} for day in range(1, 23)],
        **changes,
    }  # fmt: skip


def empty():
    return document(
        since=None,
        records=0,
        effects=dict.fromkeys(("pass", "allow", "ask", "deny"), 0),
        kinds={},
        tools=[],
        policies=[],
        reasons=[],
        latency={"p50_us": None, "p90_us": None, "p99_us": None, "max_us": None, "histogram": []},
        days=[],
    )


def shadows(**changes):
    row = {
        "policy": "new-guard",
        "of": "guard",
        "asked": 1_000,
        "same": 990,
        "stricter": 6,
        "looser": 2,
        "rewrite differs": 1,
        "fault": 1,
        "agreement": 0.99,
        "examples": {"looser": [3, 17], "fault": [4]},
    }
    return {"since": None, "conditions": {}, "of_newest": None, "shadows": [row | changes]}
