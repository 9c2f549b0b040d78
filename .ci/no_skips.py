"""A pytest plugin for CI: a test that is skipped has failed.

Tests that need more than Python (the real client, compilers) skip, with the reason, where that is missing. CI has it
all, and there a skip would mean that nobody looked: `PYTHONPATH=.ci python -m pytest -p no_skips -m e2e`.
"""

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    """The report of one phase of a test."""
    return _failed_if_skipped((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report():
    """The report of collecting a module: it may have skipped itself as a whole."""
    return _failed_if_skipped((yield))


def _failed_if_skipped(report):
    if report.skipped and not hasattr(report, "wasxfail"):
        _, _, reason = report.longrepr
        report.outcome, report.longrepr = "failed", f"{reason} (CI skips nothing)"
    return report
