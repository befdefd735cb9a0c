"""Hard inputs on which torch and ONNX must agree."""

from __future__ import annotations

PARITY_TEXTS: tuple[str, ...] = (
    "",
    " ",
    "a",
    "“",
    "He said: «Никто не придёт», and left.",
    "The “so-called ‘peace’ plan” was signed…",
    "Zu\u0308rich — Zürich; cafe\u0301 — café.",
    "🚢 The ferry 👩\u200d✈️ sailed at 7.30 p.m.",
    "東京の市長は「続ける」と述べた。",
    "قال الوزير إن الطريق مفتوح.",
    "zero\u200bwidth\u200djoin\u2060ers\ufeff",
    "A\u0301\u0302\u0303\u0304\u0305 stacked marks",
    "tabs\tand\u00a0no-break\u202fspaces",
    "NUL\x00 and bell\x07",
    "lone surrogate \ud800 here",
    "word " * 254,
    "word " * 255,
    "word " * 256,
    "antidisestablishmentarianism " * 200,
    "x" * 3000,
    "((((((((((" * 60,
    "1,234,567.89 euros, -0.5 %, 10⁻³, ½, №4",
)
