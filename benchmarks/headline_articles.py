"""How often the headline check is right in whole articles, above all where it says "dropped".

    python benchmarks/headline_articles.py CORPORA_ROOT [--model MODEL] [--cases] [--fit]

`headline_articles.json` holds what became of the attribution of each headline's claim, judged by
reading headline and lead of articles of PolNeAR and SemEval. An article stands there by the start
of the SHA-256 of its id.

* `dropped`: the headline states as fact what the body gives only as what a source says.
* `reported`: every sentence that tells it attributes it, and others take it for granted ("police
  said", of an arrest). The check is to say `dropped` of both.
* `weakened`, `kept`, `none_needed`, `unsupported`: as docs/headline_check.md has them.
* `other`: two readers differed, and neither saw one dropped. `unclear`: they differed on that, or
  said that one can.

`judged` are all articles of the training parts, with which the rules were made; `held out` those of
PolNeAR's dev part and of SemEval's test part. Intervals are Wilson's, 95 %. `--cases` adds the ids.
`--fit` fits the weights of `framelens.dropped_attribution` to the judged articles, with which the
model was trained, and tells what eight folds of them give.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from scipy.stats import binomtest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import framelens
from framelens.dropped_attribution import DroppedSigns, dropped_signs
from framelens_training.corpora.labelled import LabelledDocument
from framelens_training.corpora.registry import corpus

CORPORA = ("polnear", "semeval2023-task3")
JUDGED = Path(__file__).with_name("headline_articles.json")
DROPPED = ("dropped", "reported")
OUTCOMES = ("dropped", "weakened", "kept", "none_needed", "unsupported")
FOLDS, DRAWS = 8, 10
LIMITS = (0.2, 0.3, 0.4, 0.5, 0.6)


def key_of(document: LabelledDocument) -> str:
    """What an article is called in the file of judgements."""
    return hashlib.sha256(document.id.encode()).hexdigest()[:12]


def said_of(check: framelens.HeadlineCheck | None) -> str:
    """The outcome of a check in one word."""
    return "none" if check is None else check.attribution or check.outcome


def report(
    articles: dict[str, LabelledDocument], judged: dict[str, list[str]], scorer: framelens.Scorer
) -> dict[str, Any]:
    """How often each outcome is said of which articles, and how often "dropped" is right."""
    counts: Counter[tuple[str, str]] = Counter()
    cases: list[dict[str, str]] = []
    for judgement, keys in judged.items():
        for key in keys:
            article = articles[key]
            said = said_of(scorer.score(article.text, article.headline).headline_check)
            counts[judgement, said] += 1
            if said == "dropped" or judgement in DROPPED:
                cases.append({"id": article.id, "judged": judgement, "said": said})
    found = sum(counts[judgement, "dropped"] for judgement in judged)
    unclear = counts["unclear", "dropped"]
    right = sum(counts[judgement, "dropped"] for judgement in DROPPED)
    agreed = right + sum(counts[outcome, outcome] for outcome in OUTCOMES if outcome != "dropped")
    return {
        "articles": counts.total(),
        "said dropped": found,
        "unclear": unclear,
        "precision, unclear ones left out": share(right, found - unclear),
        "recall": share(right, sum(len(judged[judgement]) for judgement in DROPPED)),
        "recall, where nothing else states it": share(
            counts["dropped", "dropped"], len(judged["dropped"])
        ),
        "right outcome, where readers agreed": share(
            agreed, sum(len(judged.get(outcome, ())) for outcome in (*OUTCOMES, "reported"))
        ),
        "judged, then said": {
            judgement: {outcome: counts[judgement, outcome] for outcome in OUTCOMES}
            for judgement in judged
        },
        "cases": cases,
    }


def fit(
    articles: dict[str, LabelledDocument], judged: dict[str, list[str]], scorer: framelens.Scorer
) -> dict[str, Any]:
    """Weights of the signs, (5,), and what is right of those over some limits in folds."""
    signs: list[DroppedSigns] = []
    dropped: list[bool] = []

    def recorded(*arguments: Any) -> DroppedSigns:
        signs.append(dropped_signs(*arguments))
        return signs[-1]

    with mock.patch("framelens.headline_check.dropped_signs", recorded):
        for judgement, keys in judged.items():
            for key in () if judgement == "unclear" else keys:
                scorer.score(articles[key].text, articles[key].headline)
                dropped += [judgement in DROPPED] * (len(signs) - len(dropped))
    weighed, gold = np.array([found.weighed() for found in signs]), np.array(dropped)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    model.fit(weighed, gold)
    weights = model[-1].coef_[0] / model[0].scale_
    possible = np.array([not found.rule_it_out for found in signs])
    held_out = [
        possible
        * cross_val_predict(
            model,
            weighed,
            gold,
            cv=StratifiedKFold(FOLDS, shuffle=True, random_state=seed),
            method="predict_proba",
        )[:, 1]
        for seed in range(DRAWS)
    ]
    return {
        "articles": len(gold),
        "dropped": int(gold.sum()),
        "weights": [round(float(weight), 2) for weight in weights],
        "bias": round(float(model[-1].intercept_[0] - weights @ model[0].mean_), 2),
        "in folds, said and right from": {
            limit: [
                round(float(np.mean([np.sum(found >= limit) for found in held_out])), 1),
                round(float(np.mean([np.sum(gold[found >= limit]) for found in held_out])), 1),
            ]
            for limit in LIMITS
        },
    }


def share(right: int, total: int) -> dict[str, Any]:
    """A share with its interval."""
    if not total:
        return {"right": right, "of": total}
    interval = binomtest(right, total).proportion_ci(method="wilson")
    figures = [right / total, interval.low, interval.high]
    return {"right": right, "of": total, "share": [round(figure, 2) for figure in figures]}


def main() -> None:
    """Print the report, or the weights."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("corpora_root", type=Path)
    parser.add_argument("--model", help="model directory; the bundled model if not given")
    parser.add_argument("--cases", action="store_true", help="add what was judged or said dropped")
    parser.add_argument("--fit", action="store_true", help="fit the weights, and print only them")
    arguments = parser.parse_args()
    articles = {
        key_of(document): document
        for name in CORPORA
        for documents in corpus(name).read(arguments.corpora_root).values()
        for document in documents
    }
    scorer = framelens.load(arguments.model)
    found: dict[str, Any] = {"model": scorer.model.to_dict()}
    parts = json.loads(JUDGED.read_text("utf-8"))
    if arguments.fit:
        found["fit"] = fit(articles, parts["judged"], scorer)
        parts = {}
    for part, judged in parts.items():
        found[part] = report(articles, judged, scorer)
        if not arguments.cases:
            del found[part]["cases"]
    print(json.dumps(found, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
