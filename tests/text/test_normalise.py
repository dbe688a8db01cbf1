import sys
import unicodedata

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from shopsight.text.normalise import last_word, normalise, singular, words

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()))


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("red dress", "red dress"),
        ("  Red\tDRESS\r\n", "red dress"),
        ("red\u00a0\u2003dress\u3000", "red dress"),
        ("\ufeffred\u200bdress\x00", "reddress"),
        ("women’s `mini` ‚top‛", "women's 'mini' 'top'"),
        ("«18″» “x”", '"18"" "x"'),
        ("t‐shirt – v−neck — x", "t-shirt - v-neck - x"),
        ("Ｔ－ｓｈｉｒｔ ﬁt", "t-shirt fit"),
        ("APPLIQUE\u0301S", "appliqués"),
        ("Straße", "strasse"),
        ("瑞格布恩 ms. boots", "瑞格布恩 ms. boots"),
        ("a\ud800b \ufffd c", "ab c"),
        ("", ""),
        ("\u200d\x07", ""),
        ("Nike™ Gore®Tex ©2024", "nike gore tex 2024"),
        ("size 7½ 10㎝ №5", "size 7 1/2 10 cm no 5"),
        ("m² H₂O 2³", "m2 h2o 23"),
        ("★red♥dress 30°", "★ red ♥ dress 30 °"),
        ("™", ""),
    ],
)
def test_normal_form(text, normal):
    assert normalise(text) == normal


@given(ANY_TEXT)
@example("e\u200d\u0301")
@example("\u0345\u0301\u1fb3")
@example("\ud800\udc00")
def test_normalising_twice_changes_nothing(text):
    once = normalise(text)
    assert normalise(once) == once


def test_every_character_has_a_stable_normal_form():
    for first in range(0, sys.maxunicode, 4096):
        text = " ".join(f"a{chr(code)}\u0301" for code in range(first, first + 4096))
        once = normalise(text)
        assert normalise(once) == once, hex(first)


@given(ANY_TEXT)
def test_nothing_that_disturbs_is_left(text):
    normal = normalise(text)
    assert normal == " ".join(normal.split())
    assert not {unicodedata.category(ch) for ch in normal} & {"Cc", "Cf", "Co", "Cs"}
    normal.encode()  # would raise on a lone surrogate


@given(ANY_TEXT)
def test_the_words_of_a_normal_form_are_those_of_the_text(text):
    assert words(normalise(text)) == words(text)


@given(st.lists(st.text(st.characters(categories=["L", "N", "M"]), min_size=1), min_size=1))
def test_letters_digits_and_marks_of_every_script_survive(parts):
    normal = normalise(" ".join(parts))
    assume("'" not in normal)  # a possessive ending is left out
    assert word_parts("".join(words(normal))) == word_parts(normal)


def word_parts(text):
    return [ch for ch in text if unicodedata.category(ch)[0] in "LNM"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ms. t-shirt", ["ms", "t-shirt"]),
        (", daisy appliqués tape", ["daisy", "appliqués", "tape"]),
        ("merlin,bamboo", ["merlin", "bamboo"]),
        ("women's men’s ms.'s o'neil", ["women", "men", "ms", "o'neil"]),
        ("ski/snowboard (tom) 99.99 $ & !", ["ski", "snowboard", "tom", "99.99"]),
        ("हिन्दी साड़ी", ["हिन्दी", "साड़ी"]),
        (")", []),
        ("", []),
    ],
)
def test_words(text, expected):
    assert words(text) == expected


def test_words_takes_any_number_of_possessive_endings():
    assert words("a" + "'s" * 5_000) == ["a"]


@pytest.mark.parametrize(
    ("text", "last"),
    [("red dress.", "dress"), ("dress women's", "women"), (") !", ") !"), ("", "")],
)
def test_last_word(text, last):
    assert last_word(text) == last


@given(st.text("abcehiosxz", max_size=8))
def test_singulars_are_shorter_by_an_ending_at_most(word):
    assert word.startswith(singular(word))
    assert len(word) - len(singular(word)) <= 2
