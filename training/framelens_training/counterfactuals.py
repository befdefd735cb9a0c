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

from framelens.schema import AXES, SpanType
from framelens_training.corpora.labelled import Annotated, GoldSegment, GoldSpan, LabelledDocument

CONFIDENCE = 0.7
"""Weight of a made label against an annotator's."""

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
_CUES = (
    "said", "said", "said", "said on Tuesday", "told reporters", "said in a statement", "argued",
    "wrote", "added", "insisted", "told the newspaper", "declared", "said in an interview",
    "tweeted", "warned", "wrote in a letter", "told supporters", "said at a news conference",
    "told Congress", "complained", "charged", "posted on social media",
)  # fmt: skip
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
    """A lone outlet sentence as what a source says, in direct or indirect speech.

    `None` if the sentence is not one that can be wrapped: it quotes already, is a headline,
    or is very short or long.
    """
    sentence = _lone_body(document)
    if sentence is None or not _wrappable(sentence):
        return None
    source, cue = _source(generator), str(generator.choice(_CUES))
    parts, direct = _speech(sentence, source, cue, generator)
    text = "".join(part.text for part in parts)
    spans: list[GoldSpan] = []
    place = 0
    for part in parts:
        if part.kind is not None:
            spans.append(GoldSpan("text", part.kind, place, place + len(part.text)))
        place += len(part.text)
    # Whether "that" and a comma belong to an indirect content is the annotators' convention.
    annotated: set[Annotated] = {*AXES}
    if direct:
        annotated.add("attribution_spans")
    return LabelledDocument(
        id=f"{document.id}#quoted",
        text=text,
        annotated=frozenset(annotated),
        segments=(_answer(len(text), attributed=True, framed=False),),
        spans=tuple(spans) if direct else (),
    )


def outlet_sentences(document: LabelledDocument) -> list[LabelledDocument]:
    """The body sentences that are annotated for framing, each as a document of its own."""
    if "framed" not in document.annotated:
        return []
    return [
        LabelledDocument(
            id=f"{document.id}#{index}",
            text=document.segment_text(segment),
            annotated=frozenset({"framed"}),
            segments=(GoldSegment("text", 0, segment.end - segment.start, framed=segment.framed),),
        )
        for index, segment in enumerate(document.segments)
        if segment.field == "text" and segment.framed is not None
    ]


def _lone_body(document: LabelledDocument) -> str | None:
    if len(document.segments) != 1 or document.segments[0].field != "text":
        return None
    return document.segment_text(document.segments[0]).strip()


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
        ([_Part(sentence[:-1], "content"), _Part(", "), according, gap, who, stop], False),
        ([_Part("According to", "cue"), gap, who, _Part(", "), clause, stop], False),
    )
    usable = frames if sentence[-1] == "." else frames[:4]
    parts, direct = usable[int(generator.integers(len(usable)))]
    return list(parts), direct


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _lowered(clause: str) -> str:
    first, _, rest = clause.partition(" ")
    return f"{first.lower()} {rest}" if first.lower() in _LOWERED else clause


def _answer(size: int, *, attributed: bool, framed: bool) -> GoldSegment:
    return GoldSegment(
        "text",
        0,
        size,
        attributed=attributed,
        framed=framed,
        boilerplate=False,
        weights=dict.fromkeys(AXES, CONFIDENCE),
    )
