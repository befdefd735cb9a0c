"""Word lists for the rule baseline and for slices: written for this project, English only.

They are meant to be read in a minute, not to be complete: a rule that anybody could write in
an afternoon is what a trained model has to beat.
"""

from __future__ import annotations

import re
from collections.abc import Iterable


def _word_set(text: str) -> frozenset[str]:
    return frozenset(text.split())


REPORTING_VERBS = _word_set(
    """
    acknowledge acknowledged acknowledges add added adds allege alleged alleges announce
    announced announces argue argued argues ask asked asks assert asserted asserts assure
    assured believe believed believes claim claimed claims comment commented complain complained
    complains concede conceded concedes conclude concluded concludes confirm confirmed confirms
    contend contended contends declare declared declares demand demanded demands denied denies
    deny describe described describes disclose disclosed estimate estimated estimates expect
    expected expects explain explained explains find finds forecast found insist insisted
    insists maintain maintained maintains mention mentioned note noted notes object objected
    pledge pledged predict predicted predicts promise promised propose proposed quote quoted
    recall recalled recalls recommend recommended refuse refused reject rejected repeat repeated
    replied replies reply report reported reportedly reports respond responded reveal revealed
    reveals said say saying says showed shows state stated states stress stressed stresses
    suggest suggested suggests suspect tell tells testified testifies think thinks thought told
    tweeted urge urged urges vow vowed vows warn warned warns write writes wrote
    """
)
"""Forms of verbs that introduce what a source said, wrote, decided or believed."""

REPORTING_PHRASES = ("according to", "in a statement", "in the words of", "in the view of")
"""Cues of more than one word."""

LOADED_WORDS = _word_set(
    """
    abject absurd absurdly alarming appalling arrogant astonishing astonishingly atrocious awful
    barefaced baseless bizarre bizarrely blatant blatantly blistering bloated blunder blunders
    bombshell botched brazen brazenly bungled bungling callous cave caved chaos chaotic charade
    circus clueless conveniently corrupt cosy cowardly crackpot craven cronies crony cynical
    cynically damning deluded desperate desperately despicable devastating disastrous disgrace
    disgraced disgraceful dodgy draconian egregious embarrassing embarrassingly embattled
    extremist failed fanatical farce farcical feckless fiasco flailing flimsy foolish furious
    gloating glorious greedy grotesque grovelling gutless hapless haughty heartless heroic hoax
    hollow hypocrisy hypocritical hysteria hysterical idiotic incompetent inept infamous insane
    insulting irresponsible laughable lavish ludicrous lunacy lurid madness masterful mercifully
    mindless miserable mockery monstrous murky naive nakedly nonsense notorious notoriously
    obscene outrage outrageous paltry pandering pathetic pathetically phony pitiful plot
    plotting pompous predictably preposterous propaganda puppet radical rammed rant ranted
    ranting reckless recklessly regime ridiculous ruthless scandalous scathing shady sham
    shambles shambolic shame shameful shamefully shameless shamelessly shocking shockingly slam
    slammed slams sleazy slunk smear smug sneering so-called spineless stooge stunning
    stunningly stupid swindle thankfully thug thugs toxic tyrannical unhinged unscrupulous
    vicious vile wasteful whining witch-hunt woeful woefully woke zealot zealots
    """
)
"""Words by which a writer judges, mocks or sneers, whatever they are about."""

LOADED_PHRASES = ("yet another", "no surprise", "of all people", "raised eyebrows", "once again")

UNNAMED_SOURCES = _word_set(
    """
    activists advisers aides allies analysts anonymity anonymous anonymously commentators
    critics diplomats economists experts insider insiders investigators locals observers
    official officials opponents people person researchers residents scientists source sources
    spokesman spokesperson spokeswoman staff supporters unnamed witness witnesses workers
    """
)
"""Heads of sources that are described and not named."""

FURNITURE = re.compile(
    r"""
    \b(?: sign\s+up | subscribe | newsletter | read\s+(?:more|next|the\s+full) | related
      | click\s+(?:here|to) | follow\s+us | share\s+(?:this|on) | advertisement | advertising
      | cookies? | log\s*in | comments? \s (?:are|\() | all\s+rights\s+reserved | copyright
      | most\s+(?:read|viewed|popular) | also\s+(?:read|see) | photo(?:graph)?\s*: | getty
      | download\s+(?:the|our) | donate | support\s+our | terms\s+(?:of|and) | privacy\s+policy
    )\b | ©
    """,
    re.IGNORECASE | re.VERBOSE,
)
"""What lines of page furniture say."""

_WORD = re.compile(r"[^\W\d_]+(?:[-’'][^\W\d_]+)*")


def words(text: str) -> list[tuple[str, int, int]]:
    """Each word in lower case, with its place in code points."""
    return [(m.group().lower(), m.start(), m.end()) for m in _WORD.finditer(text)]


def loaded_places(text: str) -> list[tuple[int, int]]:
    """Where the lexicon's loaded words and phrases stand."""
    places = [(start, end) for word, start, end in words(text) if word in LOADED_WORDS]
    return sorted([*places, *_phrases(text, LOADED_PHRASES)])


def reports(text: str) -> bool:
    """Whether a text holds a reporting verb or phrase."""
    return bool(_phrases(text, REPORTING_PHRASES)) or any(
        word in REPORTING_VERBS for word, _, _ in words(text)
    )


def _phrases(text: str, phrases: Iterable[str]) -> list[tuple[int, int]]:
    return [
        (match.start(), match.end())
        for phrase in phrases
        for match in re.finditer(rf"\b{re.escape(phrase)}\b", text, re.IGNORECASE)
    ]
