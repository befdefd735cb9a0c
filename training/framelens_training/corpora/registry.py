"""The corpora by name, and the folder in which the public ones are found."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from framelens_training.corpora.article_extraction import ArticleExtraction
from framelens_training.corpora.babe import Babe
from framelens_training.corpora.base import Corpus
from framelens_training.corpora.checkthat import CheckThat
from framelens_training.corpora.hyperpartisan_titles import HyperpartisanTitles
from framelens_training.corpora.judged_articles import JudgedArticles
from framelens_training.corpora.judged_lines import JudgedLines
from framelens_training.corpora.packaged import PackagedCorpus
from framelens_training.corpora.polnear import PolNeAR
from framelens_training.corpora.semeval import SemEval
from framelens_training.errors import TrainingError

ROOT_VARIABLE = "FRAMELENS_CORPORA"
"""Environment variable with the root folder of the public corpora."""

_READERS: tuple[Corpus, ...] = (
    PackagedCorpus("starter", "framelens starter corpus", "jsonl"),
    PackagedCorpus("gazette", "framelens gazette corpus", "markup"),
    PackagedCorpus("lines", "framelens headlines and sentences", "csv", {"framed"}),
    PackagedCorpus("pages", "framelens web pages", "markup", {"boilerplate"}),
    PolNeAR(),
    Babe(),
    SemEval(),
    CheckThat(),
    HyperpartisanTitles(),
    ArticleExtraction(),
    JudgedArticles(),
    JudgedLines(),
)

CORPORA: Mapping[str, Corpus] = MappingProxyType({c.info.name: c for c in _READERS})
"""Every corpus by its name."""


class UnknownCorpusError(TrainingError):
    """A name that no corpus has; the message gives the nearest known one."""


def corpus(name: str) -> Corpus:
    """The corpus of a name.

    Raises:
        UnknownCorpusError: naming the nearest known name and all others.
    """
    if name in CORPORA:
        return CORPORA[name]
    nearest = difflib.get_close_matches(name.casefold(), CORPORA, n=1, cutoff=0.4)
    hint = f" (did you mean {nearest[0]!r}?)" if nearest else ""
    raise UnknownCorpusError(
        f"expected the name of a corpus, found {name!r}{hint}; known are {', '.join(CORPORA)}, and "
        "'files' in a config for labelled documents of your own"
    )


def resolve_root(config_root: str | Path | None) -> Path:
    """The root folder of the public corpora: the config's, otherwise the environment's.

    Raises:
        FileNotFoundError: if neither names one, or it is no folder.
    """
    value = str(config_root) if config_root else os.environ.get(ROOT_VARIABLE, "")
    origin = "corpora.root in the config" if config_root else f"the environment's {ROOT_VARIABLE}"
    if not value:
        raise FileNotFoundError(
            "expected the root folder of the public corpora in corpora.root of the config or in "
            f"the environment variable {ROOT_VARIABLE}, found neither; set one, or use the corpora "
            "'starter', 'gazette', 'lines' and 'pages', which need no download"
        )
    root = Path(value).expanduser()
    if not root.is_dir():
        raise FileNotFoundError(
            f"{origin}: expected the root folder of the public corpora, found no folder at {root}; "
            "it holds one sub-folder for each corpus"
        )
    return root
