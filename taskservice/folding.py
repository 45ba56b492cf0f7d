"""Folding: texts that differ only in case, accents or Unicode form become the same.

The rule, which every engine uses for the text and for the words that are looked for:

1. Compatibility decomposition and full case folding, in the order of the Unicode Standard's
   "compatibility caseless match" (section 3.13, D146; forms: UAX #15): ß is ss, ﬁ is fi, ς is σ, İ is
   i with a dot, Ａ is a.
2. Drop what is not seen (Default_Ignorable_Code_Point, UAX #44): soft hyphens, joiners, variation
   selectors.
3. Drop accents and points: the marks of the Combining Diacritical Marks blocks and those of Cyrillic,
   Hebrew, Arabic and Syriac, which texts in those scripts often go without. The marks of all other
   scripts stay: the vowel signs and viramas of Indic scripts, the vowels and tones of Thai and Lao,
   the voicing of kana make other words. So does the breve of й, a letter of its own in UTS #10.
4. Letters that Unicode does not decompose, and UTS #10 (DUCET) has on one primary level: ø with o, ł
   with l, æ with ae. And ı with i: the upper case of both is I.
5. Compose again (NFC): a Hangul syllable, or が, is one character, so that no other is found in it.

Of a run of marks the first 30 count, as in UAX #15's "stream-safe text", more than any word has: to put marks in
their order takes time in proportion to the square of the run.

To fold twice is to fold once.
"""

import re
from collections.abc import Mapping
from unicodedata import combining, normalize

_UNSEEN = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff")
_BREVE = "\u0306"
_ACCENTS = "\u0300-\u0305\u0307-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
_CYRILLIC = "\u0483-\u0489"
_HEBREW = "\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7"
_ARABIC = (
    "\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed"
    "\u08d3-\u08e1\u08e3-\u08ff")
_SYRIAC = "\u0711\u0730-\u074a"

_DROPPED = re.compile(
    f"[{_UNSEEN}{_ACCENTS}{_CYRILLIC}{_HEBREW}{_ARABIC}{_SYRIAC}]|(?<!\u0438){_BREVE}")

_LETTERS = {"æ": "ae", "đ": "d", "ð": "d", "ħ": "h", "ı": "i", "ł": "l", "ø": "o", "œ": "oe"}

_MARKS = {char: normalize("NFKD", char) for char in "\u0f73\u0f75\u0f81\uff9e\uff9f"}
"""The characters that are no marks (class 0) but become marks, which would end the count of a run."""

_LONG_RUN = re.compile(r"[^\w\s\x00-\x7f]{31,}")  # of marks, or of other signs


def fold(text: str) -> str:
    """Return what a search compares of a text; it may be longer or shorter, and empty."""
    if text.isascii():
        return text.lower()
    # Twice as many at first, since letters have marks, too: so nothing is cut that was folded.
    cut = _cut_runs(_replaced(text, _MARKS), 60)
    decomposed = normalize("NFKD", normalize("NFKD", cut).casefold())
    kept = _replaced(_DROPPED.sub("", decomposed), _LETTERS)
    return normalize("NFC", _cut_runs(kept, 30))


def _replaced(text: str, replacements: Mapping[str, str]) -> str:
    """Replace a few characters, in a tenth of the time that str.translate takes."""
    for char, replacement in replacements.items():
        text = text.replace(char, replacement)
    return text


def _cut_runs(text: str, length: int) -> str:
    """Drop what a run of marks has beyond this length."""
    return _LONG_RUN.sub(lambda run: _cut(run[0], length), text)


def _cut(text: str, length: int) -> str:
    kept, marks = [], 0
    for char in text:
        marks = marks + 1 if combining(char) else 0
        if marks <= length:
            kept.append(char)
    return "".join(kept)
