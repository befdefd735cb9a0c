from __future__ import annotations

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from framelens.paragraphs import is_furniture, split_paragraphs
from framelens.segmentation import (
    MAX_HEADLINE,
    TextSegment,
    segment_article,
    segment_unit,
    split_sentences,
)
from framelens.sentences import MAX_SENTENCE

LINE_ENDS = ["\n", "\r\n", "\r", "\x85", "\u2028", "\u2029", "\n\n", "\r\n\r\n", " \n \t\n "]

BODY = "The council voted on Monday to close the old harbour wall for the winter."


def sentences(text: str) -> list[str]:
    return [text[start:end] for start, end in split_sentences(text)]


def bodies(text: str, headline: str | None = None) -> list[str]:
    return [s.text for s in segment_article(text, headline) if s.role == "body"]


def assert_sound(segments: list[TextSegment], text: str, headline: str | None) -> None:
    fields = {"headline": headline or "", "text": text}
    for segment in segments:
        assert segment.text == fields[segment.field][segment.start : segment.end]
        assert segment.text
        assert segment.text == segment.text.strip()
    for field, source in fields.items():
        mine = [s for s in segments if s.field == field]
        covered = ["x"] * len(source)
        last = 0
        for segment in mine:
            assert segment.start >= last
            last = segment.end
            covered[segment.start : segment.end] = " " * len(segment.text)
        left_out = "".join(c for c, mark in zip(source, covered, strict=True) if mark == "x")
        assert not left_out.strip()


# Sentences


@pytest.mark.parametrize(
    "text",
    [
        "Dr. Ines Okafor met Gov. Tolk and Mr. Vance in the U.S. Senate on Monday.",
        "J. R. Tolk signed the lease at 9 a.m. Tuesday for the yard at No. 4 Quay St. Helens.",
        "ST. BRIAC is the older of the two harbours.",
        "The architect I. M. Tolk, Colonel (ret.) Ivo Poe and Rear Admiral (Ret.) Ann Lee came.",
        "Polls close at 10 p.m. British time, or 11 p.m. Central European Summer Time, on Monday.",
        "Polls close at 9 p.m. E.T. on Tuesday and at 9 p.m. P.S.T. on Monday.",
        "At 7 p.m. Okafor left.",
        "“Shortly before 10:15 a.m. Westport police came to the wall.”",
        "Sec. Vance wrote to Msgr. Poe, and Lieut. Orr to Secs. Lee and Ray.",
        "The S.&P. 500 fell, and a stone of 5 ft. 3 in. and 9 lb. 4 oz. with it.",
        "It cost 3.5 million, or 1.2 percent of the budget, in Jan. 2024.",
        "The firm, Tarn Stone Inc. of Westport, Conn., and Moor & Co. Ltd. bid for it.",
        "Some stones, e.g. those by the gate, i.e. the old ones, are loose (see fig. 3).",
        "The notice is at https://example.org/a.b/Index.html?q=Wall. and nowhere else.",
        "Drs. Orr and Poe, Profs. Lee and Ray and Sgts. Tolk and Vance signed the petition.",
        "The quay, a.k.a. The Steps, is shut from Tues. Feb. 3 to Fri. March 6 (see Figs. 3, 4).",
        "Rep. Ann Lee (D-Wis.) said she would wait, as did Sens. Orr (R-Mo.), Poe and Ray.",
        "The wall ... held, she said, and that was ... a surprise to … everyone.",
        "“Mr. Tolk, who runs the ferry, came too,” she said.",
        "Then-Lt. Gov. Vance signed it in Washington, D.C. Circuit judges struck it down.",
        "The vote (it was close!) went on, and the question (why now?) stayed open.",
        "WESTPORT, Ore. — The wall was shut.",
        "REGINA, Sask. — The walls of Barrie, Ont. Yacht Club and Laval, Que. Harbour were shut.",
        "1. Open the valve.",
        "The tide — imagine that! — was out.",
        "He called it “a wall that held.”3 and left.",
        "“I… I don’t know,” she said, “but we... We’re leaving.”",
    ],
)
def test_what_is_inside_a_sentence_does_not_end_it(text: str) -> None:
    assert sentences(text) == [text]


@pytest.mark.parametrize(
    "parts",
    [
        ["The wall held.", "The pier did not."],
        ["Was it shut?", "Nobody knew!", "Then it rained."],
        ["She lives in the U.S.", "He does not."],
        ["She lives in the U.S.", "It’s far."],
        ["She lives in the U.S.", "It's far."],
        ["She moved to the U.S.!", "Vance did not."],
        ["They met at 9 a.m.", "The rain had stopped."],
        ["They met at 9 a.m.", "This time nobody was late."],
        ["They met at 9 a.m.", "Okafor was late."],
        ["At 9 a.m.", "The rain had stopped."],
        ["8:52 p.m.", "Okafor told the town."],
        ["They met at 9 a.m.", "T. Okafor was late."],
        ["It ends at 9 p.m. E.T.", "The rain had stopped."],
        ["It lasted 30 sec.", "Then it fell.", "It was at the S.&P.", "The rain had stopped."],
        ["Tarn Stone Inc.", "It was founded in 1961."],
        ["It was founded in 1961.", "40 people work there."],
        ["He said no.", "Vance said yes."],
        ["It was on sale for a month.", "Okafor bought it."],
        ["She trailed off...", "Then she went on."],
        ["It was over.", "... We had lost."],
        ["It was over.", ". . . We had lost."],
        ["Senators Orr (R-Mo.) and Lee came with Rep. Poe (D-Ore.).", "Vance did not."],
        ["The wall held.[3]", "The pier did not.[4][12]", "It fell."],
        ["The wall held.", "iPhone owners filmed it.", "“eBay sold the stones.”"],
        ["It cost too much.", "$40 was the limit."],
        ["(He had left by then.)", "She had not."],
        ["**The wall held.**", "*The pier did not.*", "__It fell.__", "_“Why?”_", "* She left."],
        ["The wall held!🎉🎉", "“It was old.”👩‍👩‍👧", "Nobody was hurt.❤️", "🌊 is near.🙏🏽"],
        ["The wall held.*", "The pier *did* not.**", "It fell in * May."],
        ["墙塌了。", "没有人受伤。"],
    ],
)
def test_boundaries(parts: list[str]) -> None:
    assert sentences(" ".join(parts)) == parts
    assert sentences("  " + "\n".join(parts) + "\u00a0") == parts


def test_full_width_stops_need_no_space() -> None:
    assert sentences("墙塌了。没有人受伤。") == ["墙塌了。", "没有人受伤。"]


# Quotations


@pytest.mark.parametrize(
    ("open_", "close"),
    [
        *[('"', '"'), ("“", "”"), ("'", "'"), ("‘", "’"), ("''", "''"), ("«", "»")],
        *[("„", "“"), ("‚", "‘"), ("»", "«"), ("›", "‹"), ("”", "”"), ("»", "»")],
    ],
)
class TestQuotations:
    def test_a_quotation_of_several_sentences_is_split(self, open_: str, close: str) -> None:
        text = f"He said: {open_}Go. Now. We ran.{close} Then he left."
        assert sentences(text) == [
            f"He said: {open_}Go.",
            "Now.",
            f"We ran.{close}",
            "Then he left.",
        ]

    def test_closing_marks_stay_with_the_sentence_that_they_close(
        self, open_: str, close: str
    ) -> None:
        text = f"{open_}It went in a second.{close} {open_}We ran.{close}"
        assert sentences(text) == [
            f"{open_}It went in a second.{close}",
            f"{open_}We ran.{close}",
        ]

    @pytest.mark.parametrize(
        "cue",
        [
            "she asked.",
            "he said",
            "said Ann Lee, an engineer.",
            "Okafor asked.",
            "Council leader Ann Lee later added.",
            "Mr. J. R. Tolk, the harbour master, demanded.",
            "Sen. J.R. Tolk asked.",
            "an engineer asks in the report.",
        ],
    )
    @pytest.mark.parametrize("mark", ["?", "!", "...", "?!"])
    def test_a_quotation_is_not_split_from_its_cue(
        self, open_: str, close: str, mark: str, cue: str
    ) -> None:
        text = f"{open_}Will it hold{mark}{close} {cue}"
        assert sentences(text) == [text]

    def test_a_new_sentence_after_a_quoted_question_is_no_cue(self, open_: str, close: str) -> None:
        for new in ("The engineer said nothing.", "Okafor left the room, police said."):
            assert sentences(f"{open_}Will it hold?{close} {new}") == [
                f"{open_}Will it hold?{close}",
                new,
            ]

    def test_a_quotation_is_not_split_from_its_signature(self, open_: str, close: str) -> None:
        text = f"{open_}It held. We cheered.{close} — Ines Okafor"
        assert sentences(text) == [f"{open_}It held.", f"We cheered.{close} — Ines Okafor"]

    def test_a_mark_that_is_never_closed_swallows_nothing(self, open_: str, close: str) -> None:
        assert sentences(f"{open_}Go now. " + "They ran. " * 3) == [
            f"{open_}Go now.",
            *["They ran."] * 3,
        ]
        assert sentences(f"They ran.{close} They stopped.") == [
            f"They ran.{close}",
            "They stopped.",
        ]


def test_nested_quotation_marks_close_together() -> None:
    text = "“She told us, ‘Leave it.’” We left it. “‘Never again!’ she said.”"
    assert sentences(text) == [
        "“She told us, ‘Leave it.’”",
        "We left it.",
        "“‘Never again!’ she said.”",
    ]


def test_a_closing_mark_after_a_stray_space() -> None:
    assert sentences("“ It held. ” Then it fell.") == ["“ It held. ”", "Then it fell."]
    assert sentences('She said: "It held. " Then it fell.') == [
        'She said: "It held. "',
        "Then it fell.",
    ]
    assert sentences('It held. "We cheered."') == ["It held.", '"We cheered."']


def test_a_missing_space_after_a_closing_mark() -> None:
    assert sentences("“It held.”Okafor smiled. She left.") == [
        "“It held.”",
        "Okafor smiled.",
        "She left.",
    ]


@pytest.mark.parametrize("mark", ["\u00ad", "\u200b", "\u200e", "\u2060", "\ufeff"])
def test_marks_without_width_do_not_hide_an_end(mark: str) -> None:
    parts = ["The wall held.", f"{mark}It was old.", f"{mark * 2}40 people came.{mark}"]
    parts += [f"She left.{mark}”", f"“{mark}He stayed.”{mark}"]
    assert sentences(" ".join(parts)) == parts
    whole = f"Dr. {mark}Orr paid 4.{mark}5 million, she {mark}said."
    assert sentences(whole) == [whole]


# Length


def test_a_very_long_sentence_is_cut_at_a_softer_boundary() -> None:
    clause = "the stones were moved by hand, and so it went on; "
    text = (clause * 200).strip()
    parts = sentences(text)
    assert len(parts) > 1
    assert all(len(part) <= MAX_SENTENCE for part in parts)
    assert all(part.endswith(";") for part in parts)
    assert all(len(part) > MAX_SENTENCE - len(clause) for part in parts[:-1])
    assert " ".join(parts) == text


def test_a_long_word_is_cut_but_not_between_a_letter_and_its_accent() -> None:
    parts = sentences("ae\u0301" * 3000)
    assert "".join(parts) == "ae\u0301" * 3000
    assert all(len(part) <= MAX_SENTENCE for part in parts)
    assert not any(part.startswith("\u0301") for part in parts)


def test_length_at_the_limit() -> None:
    assert sentences("a" * MAX_SENTENCE) == ["a" * MAX_SENTENCE]
    assert sentences("a" * (MAX_SENTENCE + 1)) == ["a" * MAX_SENTENCE, "a"]


# Headlines


def test_a_headline_field_is_one_segment() -> None:
    first, second = segment_article(BODY, " \nWall shut. Who pays?\nA town asks \n")
    assert first == TextSegment("headline", "headline", 2, 34, "Wall shut. Who pays?\nA town asks")
    assert second == TextSegment("body", "text", 0, len(BODY), BODY)


@pytest.mark.parametrize("headline", [None, "", " \n\u2028 "])
@pytest.mark.parametrize(
    "line",
    [
        "Harbour wall to close for winter",
        "Who will pay for the harbour wall?",
        "Wall shut",
        "Chaos!",
        "'We ran': keeper on the night the wall fell",
        "Okafor v. Tolk: what the U.S. court said",
        "Harbour wall to be sold to the U.S.",
        "Harbour wall ‘a gift to D.C.’",
        "Harbour wall to be shut, and then...",
        "Home is where the wall is",
        "Copyright court hears case of the harbour wall",
        "Most popular names of boats revealed",
        "Home/work divide at the wall",
        "Two hours ago in Westport",
        "Harbour wall to close for winter (photo)",
    ],
)
@pytest.mark.parametrize("line_end", LINE_ENDS)
def test_a_first_line_that_reads_like_a_headline(
    line: str, line_end: str, headline: str | None
) -> None:
    first, second = segment_article(f"  {line}{line_end}{BODY}", headline)
    assert (first.role, first.field, first.start, first.text) == ("headline", "text", 2, line)
    assert (second.role, second.text) == ("body", BODY)


@pytest.mark.parametrize(
    "line",
    [
        "Menu",
        "By Ines Okafor",
        "by Ines Okafor",
        "Written by Ines Okafor",
        "By J. R. Tolk and Ann Lee | 4 min read",
        "By Émile Zola",
        "By E\u0301mile Zola and Jose\u0301 Garci\u0301a",
        "By Øyvind Aas",
        "By ANN LEE and ÉMILE ZOLA",
        "By Ann Lee (Tarn)",
        "By Ann Lee @annlee",
        "By Dr. Ann Lee, M.D.",
        "By Ann Lee, Ph.D.",
        "By Ann Lee Jr.",
        "3 May 2024, 10:15 BST",
        "May 3, 2024 at 10:15 a.m. ET",
        "Fri 3 May 2024 10.15 BST",
        "Wed, Sept. 4th, 2024",
        "2024-05-03 10:15",
        "10:15 GMT",
        "2 hours ago",
        "Updated 4:30 p.m. EDT May 3, 2024",
        "First published on Fri 3 May 2024 10.15 BST",
        "By Ines Okafor Published May 3, 2024",
        "Home > News > Westport",
        "The harbour wall on Monday (AP Photo/Ann Lee)",
        "The harbour wall on Monday [Reuters photo: A. Lee]",
        "Share this article on social media",
        "The harbour wall is shut.",
        "**The harbour wall is shut.**",
        "The harbour wall is shut.[3]",
        "The harbour wall is shut.\u200b",
        "The harbour wall is shut.🌊",
        "„The harbour wall is shut.“",
        "»Was it shut? Who knew?«",
        "He said: “The wall is shut.”",
        "It was shut at 9 a.m.",
        "WESTPORT, the harbour office (TS) —",
        "What the harbour master told us:",
        "Was it shut? Who knew?",
        "Opinion",
        "World news\nHarbour wall to close for winter",
        "Why " + "the wall fell and " * (MAX_HEADLINE // 17) + "who pays",
    ],
)
def test_a_first_line_that_is_no_headline(line: str) -> None:
    assert {s.role for s in segment_article(f"{line}\n{BODY}")} == {"body"}


@pytest.mark.parametrize(
    ("body", "role"),
    [
        ("The harbour wall fell on Monday.", "headline"),
        ("„The harbour wall fell on Monday.“", "headline"),
        ("The harbour wall fell again.", "body"),
        ("The wall fell. Nobody was hurt. #tarn", "headline"),
        ("The wall fell. Nobody was hurt (Reuters)", "headline"),
        ("The wall fell. A witness told the town:", "headline"),
        ("The wall fell. Nobody was hurt. https://example.org/wall", "headline"),
        ("Mr. Tolk and Dr. Lee of Tarn", "body"),
    ],
)
def test_six_words_are_body_text(body: str, role: str) -> None:
    first, *_ = segment_article(f"Old wall shut for good\n{body}")
    assert first.role == role


@pytest.mark.parametrize(("between", "role"), [(19, "headline"), (20, "body")])
def test_body_text_follows_within_twenty_paragraphs(between: int, role: str) -> None:
    text = "\n\n".join(["Old wall shut for good", *["A word"] * between, BODY])
    assert segment_article(text)[0].role == role


def test_a_long_paragraph_is_body_text_wherever_its_first_sentence_ends() -> None:
    body = "The stones were moved by hand, " * 20 + "and so it went."
    assert segment_article(f"Old wall shut for good\n{body}")[0].role == "headline"


def test_no_first_line_is_taken_beside_a_headline_field_or_without_body_text() -> None:
    line = "Harbour wall to close for winter"
    assert bodies(f"{line}\n{BODY}", "Wall shut") == [line, BODY]
    assert bodies(line) == [line]
    assert bodies(f"{line}\nMenu\nShare this") == [line, "Menu", "Share this"]


# Paragraphs and hard-wrapped text


@pytest.mark.parametrize("line_end", LINE_ENDS)
def test_a_line_end_ends_a_sentence(line_end: str) -> None:
    lines = ["It rained", "Nine days of rain fell on the valley. Then it", "Stopped", BODY]
    assert bodies("\n" + line_end.join(lines), "Rain") == [
        "It rained",
        "Nine days of rain fell on the valley.",
        "Then it",
        "Stopped",
        BODY,
    ]


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r", "\u2028"])
def test_hard_wrapped_lines_are_put_together(line_end: str) -> None:
    lines = [
        "The council voted on Monday to close the old harbour wall after its",
        "engineer, Ines Okafor, said that the stones had moved by two inches",
        'since January. "Will it hold through the winter?" asked Ann Lee, who',
        "Mr. Tolk says has run the ferry since 1961.",
        "",
        "Work begins in March. It will take a year, and the ferry will leave",
        "Westport from the new pier until then.",
        "Share this article",
        "© 2024 Tarn Valley Courier. All rights reserved.",
    ]
    found = bodies(line_end.join(lines), "Wall shut")
    assert [" ".join(segment.split()) for segment in found] == [
        "The council voted on Monday to close the old harbour wall after its engineer, "
        "Ines Okafor, said that the stones had moved by two inches since January.",
        '"Will it hold through the winter?" asked Ann Lee, who Mr. Tolk says has run the '
        "ferry since 1961.",
        "Work begins in March.",
        "It will take a year, and the ferry will leave Westport from the new pier until then.",
        "Share this article",
        "© 2024 Tarn Valley Courier. All rights reserved.",
    ]


def test_a_wrapped_paragraph_ends_where_the_next_word_would_have_fitted() -> None:
    text = (
        "The council voted on Monday to close the old harbour wall, which had\n"
        "moved by two inches since the winter\n"
        "Ines Okafor, its engineer, told a meeting that the stones had moved\n"
        "again and that the town should close the wall to walkers and to cars\n"
        "until the spring.\n"
    )
    assert [p.lines for p in split_paragraphs(text)] == [2, 3]


@pytest.mark.parametrize(
    "text",
    [
        "home\nnews\nsport\nweather\nabout the harbour\n" + BODY,
        "Ten walks for a wet weekend in the Tarn valley\n"
        "The best chip shops on the coast, ranked\n"
        "How the ferry got its name, and other stories\n" + BODY,
        "Photograph: M. Aldous for the Harbour Press picture agency\n"
        "www.example.org/harbour\n" + BODY,
        f"{BODY}\nThe pier stays open.\n{BODY}\nThe ferry does not run.",
    ],
)  # fmt: skip
def test_lines_that_are_not_wrapped_stay_apart(text: str) -> None:
    assert [p.lines for p in split_paragraphs(text)] == [1] * (text.count("\n") + 1)


def test_one_line_without_an_end_does_not_make_a_text_wrapped() -> None:
    lines = [
        "The council of the town voted on Monday to close the harbour wall",
        "iPads will go to all children of the harbour school in the spring.",
        *[f"In the year {year} the ferry to the island ran on every second day." for year in (
            1961, 1972, 1983, 1994, 2005, 2016)],
    ]  # fmt: skip
    assert [p.lines for p in split_paragraphs("\n".join(lines))] == [1] * len(lines)


def test_a_name_that_would_not_have_fitted_goes_on_a_wrapped_line() -> None:
    text = (
        "The council voted on Monday to close the old harbour wall, which had\n"
        "moved by two inches since the winter, as its engineer told the\n"
        "Westport-on-Tarn Gazette\n"
    )
    assert [p.lines for p in split_paragraphs(text)] == [3]


@pytest.mark.parametrize("line", ["The week in brief", "a line of its own, " * 5 + "and so on"])
def test_a_line_that_is_too_short_or_long_is_no_wrapped_one(line: str) -> None:
    wrapped = (
        "The council voted on Monday to close the old harbour wall, which had\n"
        "moved by two inches since the winter and would soon fall.\n"
    )
    assert [p.lines for p in split_paragraphs(f"{wrapped}{line}\nthe ferry ran.")] == [2, 1, 1]


def test_a_blank_line_ends_a_wrapped_paragraph_whatever_its_length() -> None:
    line = "the council met on Monday to close the harbour wall to all of its"
    text = f"{line}\n{line}\n\n{line}\n{line}\n \n{line}"
    assert [p.lines for p in split_paragraphs(text)] == [2, 2, 1]


@pytest.mark.parametrize("marker", ["- ", "•\t", "•\xa0", "(2) "])
def test_list_items_in_wrapped_text_stay_apart(marker: str) -> None:
    text = (
        "The council voted on Monday to close the old harbour wall after its\n"
        "engineer said that the stones had moved. It will now have to pay for\n"
        f"{marker}a new pier with lights, railings and a ramp for the Tuesday ferry\n"
        f"{marker}a survey\n"
    )
    assert [p.lines for p in split_paragraphs(text)] == [2, 1, 1]


def test_a_list_item_goes_on_below_its_first_word() -> None:
    text = (
        "The council voted on Monday to close the old harbour wall after its\n"
        "engineer said that the stones had moved. It will now have to pay for\n"
        "  * a new pier with lights, railings and a ramp for the ferry which\n"
        "    runs on Tuesdays, and for the town clock which has stopped since\n"
        "    the winter\n"
        "  10. a survey\n"
        "      The council met again on Friday to vote on it, and did nothing\n"
        "          at all.\n"
    )
    assert [p.lines for p in split_paragraphs(text)] == [2, 3, 1, 1, 1]


# Page furniture


@pytest.mark.parametrize(
    "line",
    [
        "Share this",
        "Share on social media",
        "Read more: Ten walks for a wet weekend. Five of them are dry.",
        "Related: Who pays for the wall? We asked.",
        "Photograph: M. Aldous/Harbour Press",
        "By Staff Reporter | 4 min read",
        "By Ines Okafor and J. R. Tolk",
        "Additional reporting by our Northern correspondent. Editing by Ann Lee.",
        "(Reporting by al-Okafor. Editing by J. Lee.)",
        "Reporting by de la Cruz in Westport. Editing by A. Lee.",
        "Compiled by staff. Edited by A. Lee.",
        "Follow us, @TarnCourier, for more. It is free.",
        "Most read in News, Sport. See all.",
        "Copyright of Tarn Courier 2024. No part may be copied.",
        "(Reporting by I. Okafor; Editing by A. Lee. Translated in Westport.)",
        "© 2024 Tarn Valley Courier. All rights reserved.",
        "Do you know more about this story? Write to our newsroom.",
        "Sign up for our morning briefing. It is free! You can leave at any time.",
        "Last updated: 3 May 2024",
        "Updated: 10.10.24, 10.30 am | 3 May 2024",
        "10.10.24 pm",
        "Copyright 2024 Tarn Valley Courier. No part may be copied.",
        "Copyright Tarn Courier, Westport 2024. No part may be copied.",
        "Most read in Westport this week",
        "Most popular",
        "By\xa0Ines\tOkafor",
        "\ufeffBy Ines Okafor",
        "Sign\xa0up for our briefing. It is free.\u200b",
    ],
)
def test_a_line_of_furniture_is_one_segment(line: str) -> None:
    assert is_furniture(line)
    assert bodies(f"{BODY}\n{line}\n{BODY}", "Wall shut") == [BODY, line, BODY]


@pytest.mark.parametrize(
    "line",
    [
        "Home prices rose in May. They fell in June.",
        "Share prices fell on Monday. They rose on Tuesday.",
        "By the river, a wall fell. Nobody was hurt.",
        "By Monday the council had gone. It came back.",
        "By Émile’s count, two were hurt. Nobody died.",
        "Published in 1961, the book sold well. It is out of print.",
        "More than 40 people came. Two left.",
        "Do you think it will hold? Okafor does not. She told us.",
        "Search teams found the boat. It was empty.",
        "Copyright law is of little help. It was made for books.",
        "Save on heating, they were told. They froze.",
        "Like us, the residents of Tarn are angry. They want it mended.",
        "Print on demand has changed the trade. Few mourn it.",
        "Most popular in the north, the party lost. It came third.",
        "Copyright holders of Tarn sued in 2019. They lost.",
        "Reporting by women is rare there. It is not safe.",
        "Edited by his widow, the diaries appear in May. They are long.",
        "The bank, which contributed to this story of greed, has closed. It owes two million.",
        "It took a 20-minute read of the law to see it. Nobody had.",
        "Copyright in a work of 1923 has lapsed. It took a century.",
        "Most viewed it as fair. Two did not.",
        "Sign up for it, he said. " + "They did not sign. " * 12,
    ],
)
def test_running_text_that_begins_like_furniture_is_split(line: str) -> None:
    assert not is_furniture(line)
    assert len(bodies(f"{BODY}\n{line}\n{BODY}", "Wall shut")) >= 4


def test_a_day_or_a_feast_is_no_reporter() -> None:
    assert is_furniture("By Ann Friday – the third reporter there")
    assert not is_furniture("By Friday – the third day – water had reached the church and the")
    assert not is_furniture("By Christmas – if it holds – the wall will be done")
    assert is_furniture("By Friday Okafor | Tarn Courier")
    assert is_furniture("By Sunday Lee, Sports Reporter")


def test_a_line_of_many_dates_is_read_as_fast_as_any() -> None:
    started = time.process_time()
    assert not is_furniture("10.10.24 " * 21 + "(all)")
    assert time.process_time() - started < 1


# The unit "segment"


def test_segment_unit_takes_each_field_whole() -> None:
    text = " It held. Then it fell.\n\nShare this \n"
    assert segment_unit(text, " Wall\nshut ") == [
        TextSegment("headline", "headline", 1, 10, "Wall\nshut"),
        TextSegment("body", "text", 1, 35, text.strip()),
    ]
    assert segment_unit(text) == [TextSegment("body", "text", 1, 35, text.strip())]
    assert segment_unit(" \n\u2003") == segment_unit("", "") == segment_unit("", " ") == []


# Any text at all

anything = st.text(st.characters(exclude_categories=[]), max_size=300)
"""Every code point, lone surrogates and NUL among them."""

PIECES = [
    *"\"'“”‘’«»„`()[]{}.,;:?!…-—–*#@•\0\ud800\udfff\u200b\u200f\u202e\u0301\ufeff。？",
    *("''", "``", "...", ". . .", " ", "  ", "\u00a0", "\u2003", "\t", *LINE_ENDS),
    *("Dr.", "U.S.", "a.m.", "No.", "e.g.", "J.", "Inc.", "(R-Wis.)", "3.5", "[3]", "1."),
    *("The", "wall", "held", "Okafor", "she", "said", "asked", "I", "By", "Menu"),
    *("https://a.b/c.D", "שלום", "墙"),
    *("Share this", "Read more:", "© 2024", "x" * 45, "word " * 9, "y" * 700),
]
pieces = st.sampled_from(PIECES)
news_like = st.lists(pieces, max_size=60).map("".join)
any_text = anything | news_like


@given(any_text, st.none() | any_text)
@example("\ud800.\udfff \ud800", "\0")
@example("", "")
def test_segments_are_exact_ordered_disjoint_and_complete(text: str, headline: str | None) -> None:
    segments = segment_article(text, headline)
    assert_sound(segments, text, headline)
    assert all(len(s.text) <= MAX_SENTENCE for s in segments if s.field == "text")
    assert segment_article(text, headline) == segments
    roles = [s.role for s in segments]
    assert roles.count("headline") <= 1
    assert "headline" not in roles[1:]
    if headline and headline.strip():
        assert segments[0].text == headline.strip()


@given(any_text, st.none() | any_text)
def test_units_are_exact_and_complete(text: str, headline: str | None) -> None:
    segments = segment_unit(text, headline)
    assert_sound(segments, text, headline)
    assert len(segments) == sum(bool(field and field.strip()) for field in (text, headline))


@given(any_text)
def test_sentences_cover_a_paragraph(text: str) -> None:
    spans = split_sentences(text)
    segments = [TextSegment("body", "text", a, b, text[a:b]) for a, b in spans]
    assert_sound(segments, text, None)
    assert all(end - start <= MAX_SENTENCE for start, end in spans)


@settings(deadline=None)
@given(st.lists(pieces, min_size=1, max_size=4).map("".join))
def test_a_pattern_without_end_stays_bounded(unit: str) -> None:
    text = unit * (6 * MAX_SENTENCE // len(unit) + 1)
    assert_sound(segment_article(text), text, None)


@pytest.mark.parametrize(
    "unit",
    ['"', "“", '."\' ', "(", "?!", ". ", "… ", "\u0301", "\u200b", " ", "J. ", "1. ", "a", "word ",
     '"Go!" Ann Lee ', '." - ', "\ud800", "\0", "\r\n", "By A b C d "],
)  # fmt: skip
def test_a_long_pattern_without_end(unit: str) -> None:
    # What is quadratic in the length takes minutes here.
    text = unit * (200_000 // len(unit))
    assert_sound(segment_article(text), text, None)


def test_many_one_word_lines() -> None:
    assert bodies("Word\n" * 20_000) == ["Word"] * 20_000
