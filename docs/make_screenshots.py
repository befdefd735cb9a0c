"""Pictures of the reports for the docs: articles, index and dashboard in headless Chromium.

    pip install -c constraints.txt './inference[report]' '.[browser]' pillow
    apt-get install chromium-headless-shell fonts-inter fonts-crosextra-caladea poppler-utils
    python docs/make_screenshots.py --model runs/.../model

The articles are those of examples/ and of the starter corpus; the index and the dashboard show
the starter corpus as if a few outlets had published it within five months, which is made up.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
ARTICLE = {"outlet": "The Pellow Packet", "date": "2024-02-22"}
OUTLETS = {
    "The Pellow Packet": 5,
    "Novapress": 5,
    "Wexcombe Whistle": 4,
    "Meridian Wire": 4,
    "The Common Ledger": 3,
    "Evening Trumpet": 2,
    "Harbourside Post": 1,
}
BROWSERS = ("chromium-headless-shell", "chromium", "google-chrome")
MAX_BYTES = 200_000
DESKTOP = {"width": 1240, "height": 900}
PHONE = {"width": 390, "height": 844}


def main(arguments: Sequence[str] | None = None) -> None:
    """Score, write the reports, and take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--model", required=True, help="directory of a model")
    parser.add_argument("--output", type=Path, default=IMAGES)
    options = parser.parse_args(arguments)
    from playwright.sync_api import sync_playwright

    options.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        report(_write(folder / "article.jsonl", _article()), folder / "article.html", options.model)
        report(_write(folder / "corpus.jsonl", _corpus()), f"{folder}/corpus/", options.model)
        program = next(filter(None, map(shutil.which, BROWSERS)), None)
        browser = playwright.chromium.launch(executable_path=program)
        article, corpus = folder / "article.html", folder / "corpus"
        for file, page, settings in (
            ("report_desktop.png", article, {"viewport": DESKTOP}),
            ("report_dark.png", article, {"viewport": DESKTOP, "color_scheme": "dark"}),
            ("report_phone.png", article, {"viewport": PHONE, "device_scale_factor": 2}),
            ("report_index.png", corpus / "index.html", {"viewport": DESKTOP}),
            (
                "report_dashboard.png",
                corpus / "dashboard.html",
                {"viewport": {"width": 1240, "height": 1120}},
            ),
        ):
            shoot(browser, page, options.output / file, settings)
        shoot_print(browser, article, options.output / "report_print.png", folder)
        browser.close()


def _article() -> Iterator[dict[str, Any]]:
    text = (ROOT / "examples" / "harbour_wall.txt").read_text("utf-8")
    yield {"id": "harbour-wall", "text": text, **ARTICLE}


def _corpus() -> Iterator[dict[str, Any]]:
    """The starter corpus with made-up outlets and dates."""
    generator = random.Random(3)
    begin = dt.date(2024, 3, 4)
    starter = ROOT / "training" / "framelens_training" / "corpora" / "starter"
    for split in ("test", "train", "validation"):
        for line in (starter / f"{split}.jsonl").read_text("utf-8").splitlines():
            row = json.loads(line)
            yield {
                "id": row["id"],
                "headline": row.get("headline"),
                "text": row.get("text") or "",
                "outlet": generator.choices(list(OUTLETS), list(OUTLETS.values()))[0],
                "date": (begin + dt.timedelta(days=generator.randrange(150))).isoformat(),
            }


def _write(path: Path, rows: Iterator[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def report(source: Path, target: Path | str, model: str) -> None:
    """Run `framelens report` with this interpreter."""
    command = [sys.executable, "-m", "framelens.cli", "report", str(source), "-m", model]
    subprocess.run([*command, "-o", str(target), "--quiet"], check=True)  # noqa: S603


def shoot(browser: Browser, page: Path, target: Path, settings: dict[str, Any]) -> None:
    """A picture of the first screen of a page."""
    context = browser.new_context(**settings)
    opened = context.new_page()
    opened.goto(page.as_uri())
    opened.screenshot(path=target)
    context.close()
    _shrink(target)


def shoot_print(browser: Browser, page: Path, target: Path, folder: Path) -> None:
    """The first sheet of paper, by way of a PDF."""
    opened = browser.new_page()
    opened.goto(page.as_uri())
    edge = "16mm"
    margin = {"top": edge, "bottom": edge, "left": edge, "right": edge}
    opened.pdf(path=folder / "page.pdf", format="A4", print_background=True, margin=margin)
    opened.close()
    sheet = target.with_suffix("")
    command = ["pdftoppm", "-r", "80", "-f", "1", "-l", "1", "-png", "-singlefile"]
    subprocess.run([*command, str(folder / "page.pdf"), str(sheet)], check=True)  # noqa: S603
    _shrink(target)


def _shrink(target: Path) -> None:
    """As few bytes as 160 colours need: flat tints and smoothed letters have no more."""
    from PIL import Image

    with Image.open(target) as picture:
        small = picture.convert("RGB").quantize(160, dither=Image.Dither.NONE)
    small.save(target, optimize=True)
    size = target.stat().st_size
    print(f"{target}: {size:,} bytes")
    if size > MAX_BYTES:
        sys.exit(f"{target}: expected at most {MAX_BYTES:,} bytes, found {size:,}")


if __name__ == "__main__":
    main()
