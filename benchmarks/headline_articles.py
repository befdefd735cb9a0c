"""How often the headline check is right that an attribution was dropped, in whole articles.

    python benchmarks/headline_articles.py CORPORA_ROOT [--model MODEL] [--cases]

Each article of PolNeAR and SemEval in `headline_articles.json` was judged by headline and lead:
"dropped" when the headline states as fact what the body only attributes, "unclear" when both can be
said, "other" for all else. An article stands there by the start of the SHA-256 of its id.

* `held out`: all articles of PolNeAR's dev part and of SemEval's test part, every headline once,
  judged before the check as it is now had answered them.
* `development`: what an earlier check called dropped among 598 articles of the training parts; the
  rules were made with these in view.
* `further`: what the check called dropped among 589 other articles of the training parts.

Only `held out` tells what is missed. Intervals are Wilson's, 95 %. `--cases` adds the ids.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

from scipy.stats import binomtest

import framelens
from framelens_training.corpora.labelled import LabelledDocument
from framelens_training.corpora.registry import corpus

CORPORA = ("polnear", "semeval2023-task3")
JUDGED = Path(__file__).with_name("headline_articles.json")


def key_of(document: LabelledDocument) -> str:
    """What an article is called in the file of judgements."""
    return hashlib.sha256(document.id.encode()).hexdigest()[:12]


def report(
    articles: dict[str, LabelledDocument], judged: dict[str, list[str]], scorer: framelens.Scorer
) -> dict[str, Any]:
    """How often "dropped" is said and right, and where."""
    counts: Counter[tuple[str, bool]] = Counter()
    cases: list[dict[str, str]] = []
    for judgement, keys in judged.items():
        for key in keys:
            article = articles[key]
            check = scorer.score(article.text, article.headline).headline_check
            said = "none" if check is None else check.attribution or check.outcome
            counts[judgement, said == "dropped"] += 1
            if "dropped" in (judgement, said):
                cases.append({"id": article.id, "judged": judgement, "said": said})
    right, wrong = counts["dropped", True], counts["other", True]
    return {
        "articles": counts.total(),
        "said dropped": right + wrong + counts["unclear", True],
        "unclear": counts["unclear", True],
        "precision, unclear ones left out": share(right, right + wrong),
        "recall": share(right, right + counts["dropped", False]),
        "cases": cases,
    }


def share(right: int, total: int) -> dict[str, Any]:
    """A share with its interval."""
    if not total:
        return {"right": right, "of": total}
    interval = binomtest(right, total).proportion_ci(method="wilson")
    figures = [right / total, interval.low, interval.high]
    return {"right": right, "of": total, "share": [round(figure, 2) for figure in figures]}


def main() -> None:
    """Print the report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("corpora_root", type=Path)
    parser.add_argument("--model", help="model directory; the bundled model if not given")
    parser.add_argument("--cases", action="store_true", help="add what was judged or said dropped")
    arguments = parser.parse_args()
    articles = {
        key_of(document): document
        for name in CORPORA
        for documents in corpus(name).read(arguments.corpora_root).values()
        for document in documents
    }
    scorer = framelens.load(arguments.model)
    found: dict[str, Any] = {"model": scorer.model.to_dict()}
    for part, judged in json.loads(JUDGED.read_text("utf-8")).items():
        found[part] = report(articles, judged, scorer)
        if not arguments.cases:
            del found[part]["cases"]
    print(json.dumps(found, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
