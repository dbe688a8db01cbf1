"""Plain text of HTML fragments, which shop exports keep in titles and descriptions."""

from __future__ import annotations

import re
from functools import partial
from html import unescape

_INLINE = frozenset(
    "a abbr b bdi bdo big cite code em font i ins label mark q s small span strike strong sub sup"  # noqa: SIM905
    " tt u wbr".split()
)
_BLOCK = (
    "article|aside|blockquote|body|br|button|caption|center|col|dd|del|details|div|dl|dt|fieldset"
    "|figcaption|figure|footer|form|h1|h2|h3|h4|h5|h6|head|header|hr|html|iframe|img|input|li|link"
    "|main|meta|nav|noscript|ol|option|p|picture|pre|script|section|select|source|style|summary"
    "|svg|table|tbody|td|textarea|tfoot|th|thead|title|tr|ul|video"
)
# Only known elements: "<M>" is a size, and "5 < 6 > 4" a comparison. Attributes are bounded, so
# that damaged markup takes linear time.
_TAG = re.compile(
    rf"</?({'|'.join(_INLINE)}|{_BLOCK})"
    r"(?:\s(?:\"[^\"]{0,2000}\"|'[^']{0,2000}'|[^<>\"'])*)?/?>",
    re.IGNORECASE,
)
_HIDDEN = re.compile(
    r"<!--.{0,9999}?-->|<(script|style)\b[^>]{0,999}>.{0,9999}?</\1\s*>", re.IGNORECASE | re.DOTALL
)
# A reference without a semicolon is more likely a company, such as AT&T.
_REFERENCE = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_MOST_ROUNDS = 4  # of escaping


def plain_text(text: str) -> str:
    """The text without HTML tags and with its entities resolved, even if they are escaped twice.

    Text that only looks like markup stays as it is. Elements that begin a new line separate words.

    >>> plain_text("<b>Red</b> &amp; blue<br>men&#39;s &lt;i&gt;shirt&lt;/i&gt;")
    "Red & blue men's shirt"
    >>> plain_text("R&D <M> shirt, 3 < 5")
    'R&D <M> shirt, 3 < 5'
    """
    for _ in range(_MOST_ROUNDS):
        # A lone <s> is a size too.
        replace = partial(_separator, keeps_s="</s>" not in text.lower())
        bare = _TAG.sub(replace, _HIDDEN.sub(" ", text))
        bare = _REFERENCE.sub(lambda reference: unescape(reference[0]), bare)
        if bare == text:
            break
        text = " ".join(bare.split())
    return text


def _separator(tag: re.Match[str], *, keeps_s: bool) -> str:
    name = tag[1].lower()
    if name == "s" and keeps_s:
        return tag[0]
    return "" if name in _INLINE else " "
