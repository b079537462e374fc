"""Text to syntax tree: all programs of the description, precedence, spans."""

import dataclasses
import itertools

import pytest
from language.corpus import PROGRAMS, expression, parsed

from ppl.errors import ModelError
from ppl.language import parser, syntax
from ppl.language.walk import children, nodes
from ppl.source import Source


def test_the_grammar_has_no_ambiguity():
    pytest.importorskip("interegular")
    parser.lark_parser(strict=True)


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_parse(name):
    program = parsed(PROGRAMS[name])
    assert program.span.text == PROGRAMS[name]
    assert len(program.statements) >= 1


@pytest.mark.parametrize("name", PROGRAMS)
def test_parts_lie_inside_and_in_order(name):
    """A span covers the spans below it; siblings do not overlap, apart from a block's head and its binder."""
    for node in nodes(parsed(PROGRAMS[name])):
        parts = [part for part in children(node) if not isinstance(part, syntax.Note)]
        for part in parts:
            assert node.span.start <= part.span.start < part.span.end <= node.span.end
        for left, right in itertools.pairwise(parts):
            assert left.span.end <= right.span.start


@pytest.mark.parametrize("name", PROGRAMS)
def test_an_expression_reparses_from_its_span(name):
    """What a span covers is the whole part: parsed by itself in brackets it gives the same tree."""
    for node in nodes(parsed(PROGRAMS[name])):
        if isinstance(node, syntax.Expression) and not isinstance(node, syntax.Slice):
            assert shape(expression(f"({node.span.text})")) == shape(node)


def shape(node):
    """A tree without its spans."""
    if isinstance(node, tuple):
        return tuple(shape(part) for part in node)
    if not isinstance(node, syntax.Node):
        return node
    values = (getattr(node, field.name) for field in dataclasses.fields(node) if field.name not in {"span", "header"})
    return type(node).__name__, *(shape(value) for value in values)


PRECEDENCE = [
    ("-x^2", "-(x^2)"),
    ("2^-1", "2^(-1)"),
    ("2^-x^2", "2^(-(x^2))"),
    ("a^b^c", "a^(b^c)"),
    ("a - b - c", "(a - b) - c"),
    ("a / b * c", "(a / b) * c"),
    ("a + b * c", "a + (b * c)"),
    ("a @ b + c", "(a @ b) + c"),
    ("-a * b", "(-a) * b"),
    ("a // b % c", "(a // b) % c"),
    ("a + b < c - d", "(a + b) < (c - d)"),
    ("not a == b", "not (a == b)"),
    ("not a and b", "(not a) and b"),
    ("a or b and c", "a or (b and c)"),
    ("a if b or c else d + e", "a if (b or c) else (d + e)"),
    ("a if b else c if d else e", "a if b else (c if d else e)"),
    ("-x[0]^2", "-((x[0])^2)"),
    ("f(a)[i, j]^k", "((f(a))[i, j])^k"),
    ("x[a:b + 1]", "x[a:(b + 1)]"),
    ("--a", "-(-a)"),
]


@pytest.mark.parametrize(("bare", "bracketed"), PRECEDENCE)
def test_precedence(bare, bracketed):
    assert shape(expression(bare)) == shape(expression(bracketed))


def test_the_other_reading_of_a_power_differs():
    assert shape(expression("-x^2")) != shape(expression("(-x)^2"))


def test_spans_cover_brackets_of_operands_only():
    product = expression("(a + b) * c")
    assert product.span.text == "(a + b) * c"
    assert product.left.span.text == "a + b"


def test_numbers():
    values = [expression(text).value for text in ("3", "007", "2.", ".5", "1e-3", "9223372036854775807")]
    assert values == [3, 7, 2.0, 0.5, 1e-3, 2**63 - 1]
    assert [type(value) for value in values] == [int, int, float, float, float, int]


def test_slices_keep_their_open_ends():
    items = expression("x[:, a:, :b, a:b]").items
    assert [(s.start is None, s.stop is None) for s in items] == [
        (True, True),
        (False, True),
        (True, False),
        (False, False),
    ]


def test_newlines_inside_brackets_are_free():
    program = parsed("x = f(a,  # one\n  b,\n\n  [1,\n   2],\n)\ny = 3  # end\r\n\r\nz = 4")
    assert [statement.target.name.name for statement in program.statements] == ["x", "y", "z"]


def test_calls_have_a_name_space_of_their_own():
    program = parsed("data floor, beta: real\nx ~ beta(floor(floor), beta)")
    assert program.statements[1].distribution.function.name == "beta"


def test_statements_carry_their_notes():
    plate = parsed("@minibatch(8)\nplate n in 2:N {\n  @score @lowrank(rank=2)\n\n  x[n] ~ f()\n}").statements[0]
    assert [note.name for note in plate.notes] == ["minibatch"]
    assert plate.header.text == "plate n in 2:N"
    assert [note.name for note in plate.body[0].notes] == ["score", "lowrank"]
    assert plate.body[0].span.text == "x[n] ~ f()"


def test_empty_programs_and_blocks():
    assert parsed("").statements == ()
    assert parsed("\ufeff# only a comment").statements == ()
    assert parsed("plate n in N {}\npredict { }").statements[0].body == ()


@pytest.mark.parametrize("word", ["data", "plate", "in", "missing", "predict", "for"])
def test_words_of_the_language_are_no_names(word):
    with pytest.raises(ModelError):
        parse_value(word)


def parse_value(word):
    return parser.parse(Source("m.ppl", f"x = 1 + {word}"))


def test_errors_of_separate_statements_are_all_reported():
    with pytest.raises(ModelError) as caught:
        parsed("a = (1\nb ~ normal(0, 1)\nc = 2 3\nplate n in N {\n  d[n] = ]\n  e = 4 +\n}\nf = ok\ng <- 2")
    assert [record.span.line for record in caught.value.diagnostics] == [1, 3, 5, 6, 9]


def test_the_number_of_errors_is_bounded():
    with pytest.raises(ModelError) as caught:
        parsed("a = 1 2\n" * 500 + "$" * 500)
    assert len(caught.value.diagnostics) == 20
