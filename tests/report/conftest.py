"""A headless Chromium for the tests of this directory, or the reason why there is none."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from framelens.report.write import write_report
from report_support import examples

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
SETTING = "FRAMELENS_BROWSER_TESTS"


def unavailable() -> str | None:
    """Why these tests cannot run, and how they can; None if they can."""
    missing = [
        package
        for package in ("playwright", "axe_playwright_python")
        if importlib.util.find_spec(package) is None
    ]
    if missing:
        return f"no {' and '.join(missing)}: pip install -c constraints.txt -e '.[browser]'"
    if not any(map(shutil.which, BROWSERS)):
        return (
            f"none of {', '.join(BROWSERS)} is on the path: apt-get install chromium-headless-shell"
        )
    return None


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    reason = unavailable()
    if reason is not None and os.environ.get(SETTING) == "required":
        pytest.fail(f"{SETTING}=required, but {reason}")
    if reason is not None:
        pytest.skip(f"tests in a browser are left out: {reason}")
    from playwright.sync_api import sync_playwright

    program = next(filter(None, map(shutil.which, BROWSERS)))
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program)
        yield started
        started.close()


@pytest.fixture
def opened(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens a file; any request but for the file itself, any error, and any dialog fails."""
    contexts: list[Any] = []
    wrong: list[str] = []

    def opening(path: Path, **settings: Any) -> Page:
        allowed = settings.pop("allowed", ())
        context = browser.new_context(
            **{"viewport": {"width": 1280, "height": 900}, "reduced_motion": "reduce", **settings}
        )
        context.set_default_timeout(10_000)
        contexts.append(context)
        page = context.new_page()
        page.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda line: wrong.append(line.text) if line.type == "error" else None)

        def requested(request: Any) -> None:
            asked = request.url.split("#")[0]
            if asked not in (path.as_uri(), "data:,", *allowed):
                wrong.append(asked)

        context.on("request", requested)
        page.goto(path.as_uri())
        return page

    yield opening
    for context in contexts:
        context.close()
    assert wrong == []


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of the ten example articles."""
    folder = tmp_path_factory.mktemp("report")
    write_report(examples(), folder, lambda _: None, overwrite=True)
    return folder
