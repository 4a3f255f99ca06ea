"""Tests for notifications, payloads and the names that PostgreSQL takes."""

import ast
import contextlib  # not its suppress alone: trial reads a module's "suppress"
import json
import warnings
from math import isfinite
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from txdoorbell.notification import (
    CHANNEL_LIMIT,
    PAYLOAD_LIMIT,
    Hearable,
    Notification,
    State,
    check_channel,
    check_channels,
    check_payload,
    decode_payload,
    quote_identifier,
)

finite = st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | finite | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
keys = st.recursive(
    st.none() | st.booleans() | st.integers() | finite | st.text() | st.binary(),
    lambda inner: st.tuples(inner, inner) | st.tuples(inner) | st.just(()),
    max_leaves=4,
)
complexes = st.builds(complex, st.integers(-9, 9), st.integers(-9, 9)).filter(lambda c: c.imag >= 0)
literals = st.recursive(
    keys | complexes | st.sets(keys),
    lambda inner: st.lists(inner) | st.dictionaries(keys, inner) | st.tuples(inner, inner),
)
# fmt: off
pieces = st.sampled_from([
    " ", "\n", "\x00", "\ud800", "not ", "lambda:", "'", '"', "'''", "\\", "[", "]", "{", "}",
    "(", ")", ",", ":", "-", "+", "~", ".", "0x", "1e", "9", "_", "j", "if", "or", "b", "r",
    "f", "u", "set", "None", "true", "NaN", "d", "8", "\\d", "\\777", "#", "é", "x", "@", "*",
    "=",
])
# fmt: on

HOSTILE = {
    "open lists": "[" * 3999,
    "open objects": "{" * 3999,
    "open pairs": "(1," * 2666,
    "closed lists": "[" * 3999 + "]" * 3999,
    "objects in objects": '{"a":' * 1000 + "1" + "}" * 1000,
    "one level too many": "[" * 101 + "1" + "]" * 101,
    "one tuple too many": "(" + "[" * 100 + "1" + "]" * 100 + ",)",
    "minus signs": "-" * 7998 + "1",
    "spaced signs": "- " * 3999 + "1",
    "signs in brackets": "(-" * 2666 + "1",
    "sums": "1" + "+1" * 3999,
    "attributes": "a" + ".a" * 3999,
    "calls": "1" + "()" * 3999,
    "indexes": "1" + "[0]" * 2666,
    "nots": "not " * 1999 + "1",
    "lambdas": "lambda:" * 1142 + "1",
    "choices": "1 if 1 else " * 600 + "1",
    "powers": "1" + "**1" * 2666,
    "digits": "9" * 100_000,
    "digits in a list": "[" + "9" * 100_000 + "]",
    "a literal's digits": "(" + "9" * 100_000 + ",)",
    "hexadecimal digits": "0x" + "f" * 7997,
    "a float beyond floats": "1e999",
    "a float beyond floats in a tuple": "(1e999,)",
    "an imaginary beyond floats": "1e999j",
    "not a number": "NaN",
    "infinity": "Infinity",
    "minus infinity": "-Infinity",
    "infinity in a list": "[1, -Infinity]",
    "NUL": "\0",
    "NUL in a literal": "('\0',)",
    "a lone surrogate": "('\ud800',)",
    "open quotes": "'" * 7999,
    "an unhashable key": "{[]: 1}",
    "an unhashable member": "{{}, 1}",
    "code": "__import__('os').getcwd()",
    "an f-string": "f'{1}'",
    "a comprehension": "[x for x in (1, 2)]",
}

WARNED_OF = {
    "an unknown escape": r"'\d'",
    "an unknown escape in bytes": r"b'\u0041'",
    "an octal escape over 377": r"'\400'",
    "a number with a keyword": "1if 1else 2",
    "a hexadecimal number with a keyword": "0xfor 1",
    "a number called": "(1)(2)",
    "a tuple indexed": "(1, 2)[()]",
    "a comparison by identity": "1 is 1",
}


def same(one: object, other: object) -> bool:
    """Say whether two values are the same, types included: True is not 1 here."""
    return repr(one) == repr(other)


class NotificationTests(SynchronousTestCase):
    """Tests for :class:`Notification`."""

    def test_fields(self) -> None:
        """A notification has its channel, payload and sender's pid; only the first is needed."""
        self.assertEqual(tuple(Notification("jobs", "7", 42)), ("jobs", "7", 42))
        self.assertEqual(Notification("jobs"), Notification(channel="jobs", payload="", pid=0))

    def test_immutable(self) -> None:
        """Nobody who hears a notification can change it for the next."""
        heard: Any = Notification("jobs")
        for name in ("channel", "payload", "pid", "data"):
            with self.assertRaises(AttributeError):
                setattr(heard, name, "other")

    def test_data(self) -> None:
        """The payload is at hand as a native value."""
        self.assertEqual(Notification("jobs", '{"id": 7}').data, {"id": 7})
        self.assertEqual(Notification("jobs").data, "")

    def test_hearable(self) -> None:
        """A notification goes wherever psycopg2's own would."""
        heard: Hearable = Notification("jobs", "7", 42)
        self.assertEqual((heard.channel, heard.payload, heard.pid), ("jobs", "7", 42))


class DecodeTests(SynchronousTestCase):
    """Tests for :func:`decode_payload`."""

    def test_text(self) -> None:
        """What is no value is the text that was sent, the very same object."""
        for text in [
            "",
            "hello",
            "hello world",
            "42 apples",
            "'",
            "-",
            "[",
            "tru",
            "a-b",
            "é",
            " ",
        ]:
            self.assertIs(decode_payload(text), text)

    def test_json(self) -> None:
        """JSON is read as JSON, with white space around it or not."""
        for text, value in [
            ("7", 7),
            ("-7.5e3", -7500.0),
            ('"x"', "x"),
            ("[]", []),
            ('{"a": [null, true]}', {"a": [None, True]}),
            (" 7\n", 7),
            ("true", True),
            ("false ", False),
            ("null", None),
        ]:
            self.assertTrue(same(decode_payload(text), value), text)

    def test_literal(self) -> None:
        """A Python literal that is no JSON is read as Python reads it."""
        for text, value in [
            ("True", True),
            ("False", False),
            ("None", None),
            ("None ", None),
            ("'it''s'", "its"),
            ("('a', 1)", ("a", 1)),
            ("{'a': b'b'}", {"a": b"b"}),
            ("{1}", {1}),
            ("set()", set()),
            ("0x1F", 31),
            ("1_000", 1000),
            ("-.5", -0.5),
            ("1-2j", 1 - 2j),
            ("- 1", -1),
            ("+1", 1),
            ("1e-3j", 0.001j),
            ("'''a\n\"b\"''c'''", "a\n\"b\"''c"),
            (r"rb'\d'", rb"\d"),
            (r"'\x41\u0041\U00000041\101\N{LATIN SMALL LETTER A}\n\'\\'", "AAAAa\n'\\"),
            ("u'a' 'b'\n", "ab"),
            ("(\n1,\n)", (1,)),
            ("...", ...),
        ]:
            self.assertTrue(same(decode_payload(text), value), text)

    def test_json_first(self) -> None:
        """Where JSON and Python read the same text differently, JSON holds."""
        self.assertEqual(decode_payload(r'"\/"'), "/")
        self.assertEqual(decode_payload(r'"\ud83d\udd14"'), "\N{BELL}")

    def test_hostile(self) -> None:
        """A payload made to harm its reader stays text, whichever Python reads it."""
        for what, text in HOSTILE.items():
            self.assertIs(decode_payload(text), text, what)

    def test_warned_of(self) -> None:
        """No payload writes a warning of Python's parser to the log; one that would stays text."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for what, text in WARNED_OF.items():
                self.assertIs(decode_payload(text), text, what)
        self.assertEqual(caught, [])

    def test_nesting_allowed(self) -> None:
        """A value with a hundred levels, or with many brackets beside each other, is read."""
        deep, wide = "[" * 100 + "1" + "]" * 100, [[[1]], {"[": "(" * 200}] * 200
        self.assertEqual(json.dumps(decode_payload(deep)), deep)
        self.assertEqual(decode_payload(json.dumps(wide)), wide)
        self.assertEqual(decode_payload(repr(tuple(wide))), tuple(wide))

    def test_shallow_stack(self) -> None:
        """A payload is read, or stays text, also where hardly any stack is left."""

        def descend() -> object:
            try:
                return descend()
            except RecursionError:
                return decode_payload(text)

        text = "[" * 90 + "]" * 90
        # No room for the call itself is the caller's affair, not the payload's.
        with contextlib.suppress(RecursionError):
            self.assertIn(type(descend()), (str, list))

    @given(st.text() | st.lists(pieces, max_size=12).map("".join))
    @settings(deadline=None, max_examples=500)
    @example("\\\n1")
    @example("'\\\r\n'")
    @example("\ufeff1")
    def test_never_raises(self, text: str) -> None:
        """Whatever text is sent, reading it raises and warns of nothing, and it can be printed."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            value = decode_payload(text)
        self.assertEqual(caught, [])
        self.assertIsInstance(repr(value), str)
        if isinstance(value, float):
            self.assertTrue(isfinite(value))

    @given(json_values)
    @settings(deadline=None)
    def test_json_round_trip(self, value: object) -> None:
        """What a sender wrote as JSON is what the hearer gets."""
        self.assertTrue(same(decode_payload(json.dumps(value)), value))
        self.assertTrue(same(decode_payload(json.dumps(value, ensure_ascii=False)), value))

    @given(literals)
    @settings(deadline=None)
    def test_literal_round_trip(self, value: object) -> None:
        """What a sender wrote with ``repr`` is what the hearer gets."""
        self.assertEqual(decode_payload(repr(value)), value)

    @given(st.lists(pieces, max_size=8).map("".join))
    @settings(deadline=None, max_examples=500)
    def test_as_literal_eval(self, text: str) -> None:
        """A literal is read exactly as ast.literal_eval would, or it stays text."""
        value = decode_payload(text)
        if value is text:
            return
        try:
            expected = json.loads(text)
        except ValueError:
            expected = ast.literal_eval(text)
        self.assertTrue(same(value, expected))


class NameTests(SynchronousTestCase):
    """Tests for :func:`check_channel`, :func:`check_payload` and :func:`quote_identifier`."""

    def test_channel(self) -> None:
        """A channel that PostgreSQL takes whole is returned as it is, up to 63 bytes."""
        for name in ["jobs", "Jobs", "é" * 31, "x" * CHANNEL_LIMIT, " ", 'a"b', "%s"]:
            self.assertIs(check_channel(name), name)

    def test_channel_refused(self) -> None:
        """A channel that PostgreSQL would cut or refuse is refused, with the name and the limit."""
        for name, text in [
            ("", "channel '' is empty: 1 to 63 bytes"),
            ("x" * 64, f"channel '{'x' * 64}' has 64 bytes of UTF-8, over the limit of 63"),
            ("é" * 32, "has 64 bytes"),
            ("a\0b", r"channel 'a\\x00b' has a NUL"),
            ("\ud800", r"channel '\\ud800' can't be encoded as UTF-8: surrogates not allowed"),
        ]:
            with self.assertRaisesRegex(ValueError, text):
                check_channel(name)

    def test_channels(self) -> None:
        """One name or several, each counts once and keeps its place."""
        self.assertEqual(check_channels("jobs"), ("jobs",))
        self.assertEqual(check_channels(iter(["b", "a", "b"])), ("b", "a"))
        self.assertEqual(check_channels([]), ())

    def test_payload(self) -> None:
        """A payload up to 7999 bytes is returned as it is."""
        for text in ["", "x" * PAYLOAD_LIMIT, "é" * 3999]:
            self.assertIs(check_payload(text), text)

    def test_payload_refused(self) -> None:
        """A payload that PostgreSQL would fail on is refused, with its beginning and the limit."""
        for text, message in [
            ("x" * 8000, "payload 'x{40}'... has 8000 bytes of UTF-8, over the limit of 7999"),
            ("é" * 4000, "has 8000 bytes"),
            ("a\0b", r"payload 'a\\x00b' has a NUL"),
            ("\udfff", r"payload '\\udfff' can't be encoded"),
        ]:
            with self.assertRaisesRegex(ValueError, message):
                check_payload(text)

    def test_types(self) -> None:
        """What is no str is refused with its type; bytes too, whose encoding nobody knows."""
        wrong: list[Any] = [b"jobs", None, 7, ["jobs"], object()]
        for value in wrong:
            kind = type(value).__name__
            with self.assertRaisesRegex(TypeError, f"channel .* must be a str, not {kind}"):
                check_channel(value)
            with self.assertRaisesRegex(TypeError, f"payload .* must be a str, not {kind}"):
                check_payload(value)

    def test_quote_identifier(self) -> None:
        """A name in SQL keeps its case, and a quote in it ends nothing."""
        self.assertEqual(quote_identifier("Jobs"), '"Jobs"')
        self.assertEqual(quote_identifier('a"; drop table x; --'), '"a""; drop table x; --"')

    def test_states(self) -> None:
        """A state is its own name in a log or on a page."""
        self.assertEqual(
            [f"{state}" for state in State],
            ["stopped", "connecting", "listening", "deaf", "waiting"],
        )
