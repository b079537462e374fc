"""The canonical layout."""

import pytest
from language.corpus import PROGRAMS, parsed
from language.test_parser import shape

from ppl.language import format_source
from ppl.source import Source

MESSY = """

# head
data   x :real( lower = -0,upper=N-1 )[ N ,2]   # trailing
plate n in 1 : N{#on the head
   # inner

   @score @minibatch( 3) x[n]~normal(-x ^ -2 ,  # why
      scale=- 1, # c
  # between
  loc = a if b else (c)
   )


y = not(a)and b[ : , 3:]


}
plate n in N { y[n] ~ f() }
x = (a
 + b
 - [- c, d])
# end"""

NEAT = """\
# head
data x: real(lower=-0, upper=N - 1)[N, 2]  # trailing
plate n in 1:N {  #on the head
  # inner

  @score
  @minibatch(3)
  x[n] ~ normal(-x^-2,  # why
      scale=-1,  # c
      # between
      loc = a if b else (c)
  )

  y = not (a) and b[:, 3:]
}
plate n in N {
  y[n] ~ f()
}
x = (a
    + b
    - [-c, d])
# end
"""


def formatted(text):
    return format_source(Source("m.ppl", text))


def test_layout():
    assert formatted(MESSY) == NEAT


@pytest.mark.parametrize("text", [*PROGRAMS.values(), MESSY], ids=[*PROGRAMS, "messy"])
def test_layout_keeps_the_meaning_and_is_stable(text):
    once = formatted(text)
    assert without_source(once) == without_source(text)
    assert formatted(once) == once


def without_source(text):
    return [shape(statement) for statement in parsed(text).statements]


def test_an_empty_text_stays_empty():
    assert formatted("\n\n") == ""


def test_alignment_stays_where_it_is_one():
    text = (
        "mu     ~ normal(0, 5)\nsigma  ~ half_normal(5)\nx  = mu\ny ~ normal(x, 1)\n"
        "plate n in N {\n   a[n]  ~ f()\n   bb[n] ~ f()\n}\n"
    )
    once = formatted(text)
    assert once.splitlines() == [
        "mu    ~ normal(0, 5)",
        "sigma ~ half_normal(5)",
        "x = mu",
        "y ~ normal(x, 1)",
        "plate n in N {",
        "  a[n]  ~ f()",
        "  bb[n] ~ f()",
        "}",
    ]
    assert formatted(once) == once
