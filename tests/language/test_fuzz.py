"""Whatever the text: a program, or an error with its place. Nothing else comes out of the front end."""

from hypothesis import given, settings
from hypothesis import strategies as st
from language.corpus import PROGRAMS

from ppl.errors import ModelError
from ppl.language import check, format_source
from ppl.language.order import ordered
from ppl.source import Source

SEEDED = settings(max_examples=200, derandomize=True, deadline=None)
WORDS = """
data plate scan in if else and or not predict def model use from net param factor return missing for
x y z n t N real int index normal exp sum truncated logpdf 0 1 2.5 1e3 -> <- ** // == <= target
"""
TOKENS = [*"()[]{}~=<>+-*/^@%,:;.\n# \"'|&!", *WORDS.split(), "plate n in N {", "x[n] ~ normal(0, 1)"]
NESTING = ["(", "[", "-", "f(", "not ", "a if b else ", "2^", "x[", "a+", "plate i in 2 {\n"]


def answers(text):
    """Runs the whole front end; a `ModelError` must point into the text."""
    source = Source("fuzz.ppl", text)
    try:
        program = check(source)
    except ModelError as error:
        check_records(error.diagnostics, text)
        return
    ordered(program)
    once = format_source(source)
    assert format_source(Source("again.ppl", once)) == once


def check_records(records, text):
    assert records
    for record in records:
        assert record.span is not None
        assert 0 <= record.span.start <= record.span.end <= len(text)
        assert record.code in record.render()


@SEEDED
@given(st.text(max_size=80))
def test_random_text(text):
    answers(text)


@SEEDED
@given(st.lists(st.sampled_from(TOKENS), max_size=40))
def test_random_tokens(tokens):
    answers(" ".join(tokens))


@SEEDED
@given(st.sampled_from(sorted(PROGRAMS.values())), st.data())
def test_mutated_programs(program, data):
    """Cut a piece out and put something in, up to three times."""
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(program)))
        end = min(len(program), start + data.draw(st.integers(0, 12)))
        put = data.draw(st.sampled_from(["", *TOKENS]))
        program = program[:start] + put + program[end:]
    answers(program)


@SEEDED
@given(st.sampled_from(NESTING), st.integers(0, 400))
def test_deep_nesting(opening, depth):
    closing = {"(": ")", "[": "]", "f(": ")", "x[": "]", "plate i in 2 {\n": "\n}"}.get(opening, "")
    start = "" if opening.startswith("plate") else "y = "
    body = "y = 1" if opening.startswith("plate") else "1"
    answers(start + opening * depth + body + closing * depth)
