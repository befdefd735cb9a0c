"""Pairs of sentences that differ in who is speaking: the outlet, or a source.

A classifier that learns framing from single sentences learns words, and then blames the outlet
for what a source is quoted as saying. So a training sentence is also shown with its words put
into a source's mouth, where it must lose `framed` and gain `attributed` (counterfactually
augmented data, Kaushik et al. 2020, made by rule). Nothing of this is stored: the pairs are
made from the training text at training time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from framelens.schema import SpanType
from framelens_training.corpora.labelled import GoldSegment, GoldSpan, LabelledDocument
from framelens_training.made_labels import made_document

PLAIN_SHARE = 1 / 3
"""How often a sentence that was not framed to begin with is quoted, against one that was."""

_MIN_WORDS, _MAX_WORDS = 5, 45
_QUOTES = frozenset('“”"«»„‘`')

_NAMES = (
    "Hale", "Okafor", "Brandt", "Lindqvist", "Moreno", "Whitcombe", "Sato", "Petrov", "Gallagher",
    "Ferreira", "Nguyen", "Dunmore", "Kaplan", "Reyes", "Ostrowski", "Banerjee", "Caldwell",
    "Amari", "Thornton", "Vance", "Mbeki", "Larsen", "Quigley", "Rahman", "Delacroix", "Stroud",
)  # fmt: skip
_FIRST = (
    "Ruth", "Daniel", "Maya", "Tom", "Elena", "Omar", "Grace", "Victor", "Priya", "Samuel", "Ines",
    "Karl", "Naomi", "Leo", "Aisha", "Peter",
)  # fmt: skip
_TITLES = (
    "Mr. {name}", "Ms. {name}", "Senator {name}", "Rep. {name}", "President {name}", "Dr. {name}",
    "Judge {name}", "Governor {name}", "Professor {name}", "{name}", "{first} {name}",
    "{first} {name}", "Secretary {name}", "Mayor {name}", "Minister {name}",
)  # fmt: skip
_ROLES = (
    "the minister", "a spokesman", "a spokeswoman for the campaign", "the senator", "critics",
    "the party’s leader", "a former official", "union leaders", "the committee’s chairman",
    "opposition lawmakers", "the group", "the company", "officials", "one resident", "the mayor",
    "a senior adviser", "campaigners", "a police spokesman", "the president", "he", "she", "they",
    "the governor’s office", "a protester", "a lawyer for the family", "supporters of the bill",
)  # fmt: skip
_OBJECTS = {"he": "him", "she": "her", "they": "them"}
"""What stands for a pronoun after "according to"."""
_CUES = (
    "said", "said", "said", "said on Tuesday", "told reporters", "said in a statement", "argued",
    "wrote", "added", "insisted", "told the newspaper", "declared", "said in an interview",
    "tweeted", "warned", "wrote in a letter", "told supporters", "said at a news conference",
    "told Congress", "complained", "charged", "posted on social media",
)  # fmt: skip
_HEADLINE_SOURCES = (
    ("{name}", "says"), ("{first} {name}", "says"), ("Senator {name}", "says"), ("Critics", "say"),
    ("Mayor {name}", "says"), ("Minister", "says"), ("Union leaders", "say"), ("Experts", "say"),
    ("Campaigners", "say"), ("Ex-aide", "says"), ("Judge", "says"), ("Report", "says"),
    ("Watchdog", "says"), ("Governor {name}", "says"), ("Opposition", "says"), ("Lawyers", "say"),
    ("Police chief", "says"), ("Study", "finds"), ("{name}’s office", "says"), ("Poll", "finds"),
)  # fmt: skip
_SAYING = frozenset(
    """
    say says said tell tells told claim claims claimed call calls called warn warns warned argue
    argues report reports reported according accuse accuses accused slams vows
    """.split()  # noqa: SIM905
)
"""Words by which a headline may have a source of its own."""
_LOWERED = frozenset(
    """
    the a an this that these those it there he she we they you but and so in on at for with if
    when while as by from of to after before since although though because all some many most
    no not what how why who even only just now then his her their our its my your
    """.split()  # noqa: SIM905
)
"""First words that lose their capital inside a sentence."""


@dataclass(frozen=True, slots=True)
class _Part:
    text: str
    kind: SpanType | None = None


def quoted(document: LabelledDocument, generator: np.random.Generator) -> LabelledDocument | None:
    """A lone outlet sentence or headline as what a source says, in direct or indirect speech.

    `None` if it is not one that can be wrapped: it quotes already, or is very short or long.
    """
    if len(document.segments) != 1:
        return None
    (segment,) = document.segments
    text = document.segment_text(segment).strip()
    if segment.field == "headline":
        return _quoted_headline(document.id, text, generator)
    if not _wrappable(text):
        return None
    source, cue = _source(generator), str(generator.choice(_CUES))
    parts, direct = _speech(text, source, cue, generator)
    spans: list[GoldSpan] = []
    place = 0
    for part in parts:
        if part.kind is not None:
            spans.append(GoldSpan("text", part.kind, place, place + len(part.text)))
        place += len(part.text)
    return made_document(
        f"{document.id}#quoted",
        "".join(part.text for part in parts),
        "text",
        attributed=True,
        framed=False,
        # Whether "that" and a comma belong to an indirect content is the annotators' convention.
        spans=spans if direct else None,
    )


def outlet_segments(document: LabelledDocument) -> list[LabelledDocument]:
    """The segments that are annotated for framing, each as a document of its own."""
    if "framed" not in document.annotated:
        return []
    found: list[LabelledDocument] = []
    for index, segment in enumerate(document.segments):
        if segment.framed is None:
            continue
        text = document.segment_text(segment)
        is_headline = segment.field == "headline"
        found.append(
            LabelledDocument(
                id=f"{document.id}#{index}",
                text="" if is_headline else text,
                headline=text if is_headline else None,
                annotated=frozenset({"framed"}),
                segments=(GoldSegment(segment.field, 0, len(text), framed=segment.framed),),
            )
        )
    return found


def _quoted_headline(
    id: str, title: str, generator: np.random.Generator
) -> LabelledDocument | None:
    """A headline that names a source: in quotation marks, after a colon, or with "says"."""
    words = title.split()
    if (
        not _MIN_WORDS - 1 <= len(words) <= _MAX_WORDS
        or _QUOTES.union(":|").intersection(title)
        or _SAYING.intersection(title.casefold().split())
        or " '" in f" {title}"
    ):
        return None
    pattern, cue = _HEADLINE_SOURCES[int(generator.integers(len(_HEADLINE_SOURCES)))]
    source = pattern.format(name=generator.choice(_NAMES), first=generator.choice(_FIRST))
    long_words = [word for word in words if len(word) > 3]
    if 2 * sum(word[0].isupper() for word in long_words) > len(long_words):
        cue = cue.capitalize()  # a title in capitals, as many outlets set theirs
    opening, closing = [("‘", "’"), ("“", "”"), ("'", "'")][int(generator.integers(3))]
    inner = title.removesuffix(".")
    whole = f"{opening}{inner}{closing}"
    lowered = source if "{" in pattern else source[0].lower() + source[1:]
    forms = [f"{source}: {whole}", f"{whole}, {cue} {lowered}", f"{whole}: {source}"]
    if inner[-1].isalnum():  # what asks or cries stays within its marks
        clause = _lowered(inner) if cue.islower() else inner
        forms += [
            f"{source}: {inner}",
            f"{inner}, {lowered} {cue}",
            f"{inner}, {cue} {lowered}",
            f"{source} {cue} {clause}",
            f"{inner}: {source}",
        ]
    text = forms[int(generator.integers(len(forms)))]
    return made_document(f"{id}#quoted", text, "headline", attributed=True, framed=False)


def _wrappable(sentence: str) -> bool:
    count = len(sentence.split())
    return (
        _MIN_WORDS <= count <= _MAX_WORDS
        and sentence[-1] in ".!?"
        and not _QUOTES.intersection(sentence)
        and "\n" not in sentence
    )


def _source(generator: np.random.Generator) -> str:
    pattern = str(generator.choice(_TITLES if generator.random() < 0.5 else _ROLES))
    return pattern.format(name=generator.choice(_NAMES), first=generator.choice(_FIRST))


def _speech(
    sentence: str, source: str, cue: str, generator: np.random.Generator
) -> tuple[list[_Part], bool]:
    """The parts of the wrapped sentence, and whether its speech is direct."""
    opening, closing = ("“", "”") if generator.random() < 0.7 else ('"', '"')
    inner = sentence[:-1] + "," if sentence[-1] == "." else sentence
    said, who = _Part(cue, "cue"), _Part(source, "source")
    whom = _Part(_OBJECTS.get(source, source), "source")
    subject = _Part(_capital(source), "source")
    clause = _Part(_lowered(sentence[:-1]), "content")
    quotation = _Part(f"{opening}{inner}{closing}", "content")
    whole = _Part(f"{opening}{sentence}{closing}", "content")
    gap, stop = _Part(" "), _Part(".")
    according = _Part("according to", "cue")
    frames = (
        ([quotation, gap, who, gap, said, stop], True),
        ([subject, gap, said, _Part(", "), whole], True),
        ([subject, gap, said, _Part(": "), whole], True),
        ([quotation, gap, who, gap, said, stop], True),
        ([subject, gap, said, _Part(" that "), clause, stop], False),
        ([subject, gap, said, gap, clause, stop], False),
        ([_Part(sentence[:-1], "content"), _Part(", "), who, gap, said, stop], False),
        ([_Part(sentence[:-1], "content"), _Part(", "), according, gap, whom, stop], False),
        ([_Part("According to", "cue"), gap, whom, _Part(", "), clause, stop], False),
    )
    usable = frames if sentence[-1] == "." else frames[:4]
    parts, direct = usable[int(generator.integers(len(usable)))]
    return list(parts), direct


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _lowered(clause: str) -> str:
    first, _, rest = clause.partition(" ")
    return f"{first.lower()} {rest}" if first.lower() in _LOWERED else clause
