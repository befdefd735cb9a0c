"""Made pairs in which a source, or the outlet itself, calls something by a loaded name.

Corpora of framing hold few sentences such as "She called the plan a disgrace", and a classifier
of words blames the outlet for the name. So each name is shown twice: as what a source calls
something, which is attributed and not framed, and in the outlet's own voice, where it is framed.
All words are our own.
"""

from __future__ import annotations

import numpy as np

from framelens_training.corpora.labelled import LabelledDocument
from framelens_training.made_labels import made_document

_THINGS = (
    "the budget deal", "the harbour tax", "the school merger", "the new law", "the pay offer",
    "the bridge contract", "the asylum policy", "the verdict", "the trade agreement", "the bill",
    "the ruling", "the pension reform", "the company’s apology", "the housing plan", "the vote",
    "the climate summit", "the inquiry", "the police operation", "the takeover", "the new stadium",
    "the hospital closure", "the campaign", "the debate", "the broadcast", "the ceasefire",
)  # fmt: skip
_PEOPLE = (
    "the mayor", "the minister", "the governor", "the senator", "his opponent", "her rival",
    "the prosecutor", "the bishop", "the chief executive", "the committee’s chairman", "the coach",
    "the ambassador", "the candidate", "the judge", "the general", "the party’s leader",
)  # fmt: skip
_THING_NAMES = (
    "a disgrace", "a betrayal of working families", "a sham", "an insult to voters", "a farce",
    "a slap in the face", "a gift to the rich", "daylight robbery", "a national embarrassment",
    "a reckless gamble", "an attack on democracy", "a cynical stunt", "a stain on the country",
    "a disaster for rural towns", "utter nonsense", "a cruel joke", "a power grab", "a whitewash",
    "a monstrous waste", "a surrender", "an act of vandalism", "a triumph of greed", "a witch hunt",
    "a masterstroke", "a blow for common sense", "a shining example", "a total failure", "a trap",
)  # fmt: skip
_PERSON_NAMES = (
    "a liar", "a coward", "a fraud", "a bully", "a puppet", "a quack", "a clown", "a demagogue",
    "a disgrace to the office", "a charlatan", "an extremist", "a hypocrite", "a thug", "a crook",
    "a lapdog of the industry", "a racist", "a sore loser", "a hero", "a visionary", "a saviour",
    "an empty suit", "a warmonger", "a tyrant", "a fool who has learned nothing",
)  # fmt: skip
_QUALITIES = (
    "shameful", "reckless", "pathetic", "cruel and inhuman", "half-baked", "disgusting", "absurd",
    "cowardly", "shameless", "crooked", "toxic", "outrageous", "dishonest to the core", "deranged",
    "un-American", "hopelessly naive", "corrupt", "laughable", "brilliant", "heroic", "spineless",
    "a little desperate", "grotesque", "hysterical", "vicious", "unhinged", "rotten", "tone-deaf",
)  # fmt: skip
_SOURCES = (
    "The senator", "A spokesman for the union", "The bishop", "One of the doctors", "Mrs. Hale",
    "The opposition leader", "Residents", "Analysts at the bank", "Mr. Okafor", "Campaigners",
    "The former aide", "Critics", "The group", "Shop owners", "Judge Stroud", "Rep. Moreno", "He",
    "She", "A retired general", "The newspaper’s editorial board", "Protesters", "Dr. Banerjee",
    "Two of the jurors", "The trade minister", "Nurses at the hospital", "A rival campaign",
)  # fmt: skip
_HEADLINE_SOURCES = (
    "Senator", "Union", "Bishop", "Doctors", "Hale", "Opposition leader", "Residents", "Okafor",
    "Critics", "Campaigners", "Judge", "Ex-aide", "Moreno", "Shop owners", "Watchdog", "Protesters",
)  # fmt: skip
_PLURAL = frozenset({
    "Doctors", "Residents", "Critics", "Campaigners", "Shop owners", "Protesters",
})  # fmt: skip
_QUOTED = (
    "{source} called {target} {name}.",
    "{source} called {target} “{name}”.",
    "{source} earlier described {target} as “{name}”.",
    "{source} described {target} as {name} in an interview with the paper.",
    "{source} said {target} was {name}.",
    "{source} told reporters that {target} was “{name}” and that more was to come.",
    "{target} is “{name}”, according to {whom}.",
    "In a letter to the council, {lower} called {target} {name}.",
    "{source} repeatedly referred to {target} as {name} during the hearing.",
)
_OWN = (
    "{target} is {name}.",
    "{target} was {name} from the start.",
    "Make no mistake: {target} is {name}.",
    "{target} has turned out to be {name}, and everybody in town can see it.",
    "It has been clear for months that {target} is {name}.",
    "There is no other word for it: {target} is {name}.",
)
_QUOTED_HEADLINES = (
    "{source} {calls} {target} ‘{name}’",
    "{source} {calls} {target} {name}",
    "{source} {describes} {target} as ‘{name}’",
    "{target} is ‘{name}’, {say} {lower}",
    "{target} is {name}, {lower} {say}",
    "{target} ‘{name}’, {lower} {say}",
    "{source}: {target} is {name}",
    "‘{name}’: {lower} on {target}",
)
_OWN_HEADLINES = (
    "{target} is {name}",
    "{target} is still {name}",
    "Why {target} is {name}",
    "{target}: {name}, and everyone knows it",
)
_HEADLINE_SHARE = 0.4


def epithets(pairs: int, generator: np.random.Generator) -> list[LabelledDocument]:
    """So many names, each as what a source says and in the outlet's own voice."""
    made: list[LabelledDocument] = []
    for number in range(pairs):
        people = generator.random() < 0.5
        target = str(generator.choice(_PEOPLE if people else _THINGS))
        names = (_PERSON_NAMES if people else _THING_NAMES) + _QUALITIES
        name = str(generator.choice(names))
        headline = generator.random() < _HEADLINE_SHARE
        for attributed in (True, False):
            text = _sentence(target, name, headline, attributed, generator)
            made.append(
                made_document(
                    f"epithet {number} {attributed}",
                    text,
                    "headline" if headline else "text",
                    attributed=attributed,
                    framed=not attributed,
                )
            )
    return made


def _sentence(
    target: str, name: str, headline: bool, attributed: bool, generator: np.random.Generator
) -> str:
    quoted, own = (_QUOTED_HEADLINES, _OWN_HEADLINES) if headline else (_QUOTED, _OWN)
    source = str(generator.choice(_HEADLINE_SOURCES if headline else _SOURCES))
    if headline:
        target = target.removeprefix("the ")
    ending = "" if source in _PLURAL else "s"
    text = str(generator.choice(quoted if attributed else own)).format(
        source=source,
        lower=_lowered(source),
        whom={"He": "him", "She": "her"}.get(source) or _lowered(source),
        target=target,
        name=name,
        calls=f"call{ending}",
        describes=f"describe{ending}",
        say=f"say{ending}",
    )
    return text[0].upper() + text[1:] if text[0] != "‘" else f"‘{text[1].upper()}{text[2:]}"


def _lowered(source: str) -> str:
    first = source.split()[0]
    is_name = first in ("Mrs.", "Mr.", "Dr.", "Rep.", "Judge", "Hale", "Okafor", "Moreno")
    return source if is_name else source[0].lower() + source[1:]
