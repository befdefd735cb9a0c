"""Texts, JSON lines and pages that have broken readers of text; tests and benchmarks share them."""

from __future__ import annotations

import json


def hostile_texts(size: int) -> dict[str, str]:
    """Texts of about the given length in code points."""
    return {
        "straight quotes": '"' * size,
        "open quotes": "“" * size,
        "mixed quotes": "“‘\"'«" * (size // 5),
        "brackets": "(" * (size // 2) + ")" * (size // 2),
        "combining marks": "e" + "\u0301" * size,
        "zero width": "a\u200b" * (size // 2),
        "right to left": "\u202eabc \u202c" * (size // 6),
        "nul": "\x00" * size,
        "lone surrogates": "\ud800\udfff" * (size // 2),
        "one-word lines": "word\n" * (size // 5),
        "one line": "word " * (size // 5),
        "one word": "x" * size,
        "stops": "." * size,
        "spaced stops": ". " * (size // 2),
        "abbreviations": "Mr. " * (size // 4),
        "markup": "<div>" * (size // 5),
        "blank": " \n\t" * (size // 3),
        "emoji": "👩‍👩‍👧 " * (size // 6),
    }


def hostile_lines(size: int) -> dict[str, str]:
    """Lines that stand where a JSON row is expected, of about the given length."""
    depth = size // 12
    return {
        "nested arrays": '{"text": ' + "[" * (size // 2) + "]" * (size // 2) + "}",
        "nested objects": '{"a":' * (size // 6) + "1" + "}" * (size // 6),
        "nested beside a text": '{"text": "A plan.", "a": ' + "[" * depth + "]" * depth + "}",
        "nested identifier": '{"text": "A plan.", "id": ' + "[" * depth + "]" * depth + "}",
        "never closed": '{"text": "' + "word " * (size // 5),
        "no JSON": "x" * size,
        "long number": '{"text": "A plan.", "id": ' + "9" * size + "}",
        "many fields": json.dumps({"text": "A plan."} | {f"f{n}": n for n in range(size // 14)}),
    }


def html_bombs(size: int) -> dict[str, str]:
    """Pages of about the given length."""
    levels = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else "word "}">' for n in range(10))
    return {
        "nested": "<div>" * (size // 5) + "A road was closed.",
        "never closed": "<html><body><article>" + "<p>A road was closed. " * (size // 21),
        "attributes": "<html><body><p " + 'a="b" ' * (size // 6) + ">A road.</p>",
        "one long attribute": '<html><body><p a="' + "b" * size + '">A road.</p>',
        "entities": f"<!DOCTYPE html [{levels}]><html><body><p>&e9;</p>" + " " * size,
        "comments": "<html><body>" + "<!--" * (size // 4),
        "tables": "<html><body>" + "<table><tr><td>" * (size // 15),
        "script": "<html><script>" + "if (a<b) {" * (size // 10),
        "links": "<html><body>" + '<a href="x">word</a> ' * (size // 22),
        "paragraphs": "<html><body><article>" + "<p>A road was closed.</p>" * (size // 25),
        "no tags": "word " * (size // 5),
        "nul": "<html><body><p>" + "\x00" * size + "</p>",
    }
