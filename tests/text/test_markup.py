"""Markup in titles."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shopsight.text.markup import plain_text


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<b>Men&#39;s</b> shoes &amp; socks", "Men's shoes & socks"),
        ("<p>One</p><p>two<br/>three</p>", "One two three"),
        ("lin<b>k</b>ed", "linked"),
        ('<div class="a>b" id=x>text</div>', "text"),
        ("<IMG SRC='a.jpg' ALT='x'>dress", "dress"),
        ("&amp;lt;p&amp;gt;twice&amp;lt;/p&amp;gt;", "twice"),
        ("<script>var a = '<b>';</script>red<!-- note --> dress<style>p {}</style>", "red dress"),
        ("caf&eacute; &#x1F600;&nbsp;&copy;", "café 😀 ©"),
        ("<s>old</s> new", "old new"),
        ("<ul><li>wool</li><li>silk</li></ul>", "wool silk"),
    ],
)
def test_tags_and_entities_are_removed(markup, text):
    assert plain_text(markup) == text


@pytest.mark.parametrize(
    "text",
    [
        *("R&D", "AT&T; M&S", "5 < 6 > 4", "I <3 you", "Size <M>", "Size <S>", "a <unknown> tag"),
        *("<b", "x<y and z>w", "&bogus; entity", "&#999999999;", "fish & chips;"),
    ],
)
def test_what_only_looks_like_markup_stays(text):
    assert plain_text(text) == text


@pytest.mark.parametrize("part", ["<b>", "<s>", "&lt;", "<!--", '<b "', "<script>", "<a'"])
def test_damaged_markup_is_read(part):
    assert len(plain_text(part * 2000)) <= len(part) * 2000


@given(st.text())
def test_any_text_is_read(text):
    assert plain_text(plain_text(text)) is not None
