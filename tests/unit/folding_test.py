"""What a search takes for the same text."""

import sys
import time
import unittest
from typing import Literal
from unicodedata import category, combining, normalize

from hypothesis import given
from hypothesis import strategies as st

from taskservice.folding import _MARKS, fold
from tests.helpers.strategies import property_settings
from tests.helpers.timing import at_most

FORMS: tuple[Literal["NFC", "NFD", "NFKC", "NFKD"], ...] = ("NFC", "NFD", "NFKC", "NFKD")

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.lists(
    st.sampled_from([*"aIiıİßẞſςΣσᾳΑΙᾼйиИŁłØøÆæÅŉǆǅ한ㄱㅏ각がガｶﾞ", "\u0301", "\u0306", "\u0307", "\u0345",
                     "\u0323", "\u200d", "\u00ad", "\u034f", "\u1100", "\u1161", "\u11a8", "ก็", "कि",
                     "्", "़", "ﬁ", "ﷺ", "\u05b0", "\u064b", "\n", " "]), max_size=8).map("".join)


class FoldTest(unittest.TestCase):

    def assert_same(self, *texts: str) -> None:
        """A search takes all the texts for the same."""
        self.assertEqual(len({fold(text) for text in texts}), 1, [fold(text) for text in texts])

    def assert_different(self, *texts: str) -> None:
        """No text is found in another."""
        for text in texts:
            others = [other for other in texts if other != text]
            self.assertFalse([other for other in others if fold(text) in fold(other)], text)

    def test_case_does_not_matter(self) -> None:
        for texts in [
            ("Milk", "MILK", "milk"), ("Straße", "STRASSE", "STRAẞE", "strasse"),
            ("ΟΔΟΣ", "οδος", "οδοσ"), ("Ὀδυσσεύς", "ὈΔΥΣΣΕΎΣ", "οδυσσευσ"), ("ǆ", "ǅ", "Ǆ", "DŽ"),
            ("МОСКВА", "Москва"), ("ꭰꭱ", "ᎠᎡ"), ("აბ", "ᲐᲑ"), ("ᾳ", "ᾼ", "ΑΙ"),
        ]:
            self.assert_same(*texts)

    def test_accents_do_not_matter(self) -> None:
        for texts in [
            ("cafe", "Café", "Cafe\u0301", "CAFÉ"), ("Việt Nam", "Viet Nam"), ("naïve", "naive"),
            ("Ångström", "angstrom", "A\u030angstro\u0308m"), ("ёлка", "елка"), ("ές", "ες"),
            ("שָׁלוֹם", "שלום"), ("مُحَمَّد", "محمد"), ("أحمد", "احمد"), ("c̶a̶t̶", "cat"), ("ŝ", "s"),
        ]:
            self.assert_same(*texts)

    def test_letters_that_no_unicode_form_decomposes_are_those_that_collation_has_them_next_to(
        self
    ) -> None:
        for texts in [
            ("Łódź", "lodz"), ("Ærøskøbing", "aeroskobing"), ("Œuvre", "oeuvre"), ("Đà Nẵng", "da nang"),
            ("Ħal", "hal"), ("Guðrún", "Gudrun"),
        ]:
            self.assert_same(*texts)

    def test_the_four_letters_i_of_turkish_are_one(self) -> None:
        self.assert_same("İstanbul", "istanbul", "ISTANBUL", "ıstanbul", "I\u0307stanbul")
        self.assert_same("ısparta".upper(), "ısparta", "Isparta")

    def test_the_unicode_form_does_not_matter(self) -> None:
        for texts in [
            ("ﬁnden", "finden"), ("Ｔｏｋｙｏ", "Tokyo"), ("㎏", "kg"), ("x²", "x2"), ("ｶﾞｽ", "ガス"),
            ("\u212b", "å"), ("①", "1"), ("½", "1⁄2"), ("a\u00a0b", "a b"), ("ﻻ", "لا"),
        ]:
            self.assert_same(*texts)

    def test_what_is_not_seen_does_not_matter(self) -> None:
        for texts in [
            ("Donau\u00addampf", "Donaudampf"), ("\ufeffa", "a"), ("❤\ufe0f", "❤"),
            ("نمی\u200cخواهم", "نمیخواهم"), ("a\u2060b", "ab"), ("a\u200eb", "ab"), ("a\u034f\u0301", "á"),
        ]:
            self.assert_same(*texts)

    def test_signs_that_make_another_word_stay(self) -> None:
        for texts in [
            ("कि", "की", "कु", "के"), ("ड़क", "डक"), ("ขาว", "ข่าว", "ข้าว"), ("ปี", "ปู"), ("ລາວ", "ລ່າວ"),
            ("が", "か"), ("パパ", "ハハ", "ババ"), ("가", "각", "나"), ("한", "하"), ("мой", "мои"), ("ක", "ඛ"),
            ("a", "b"), ("c++", "c#"), ("ŋ", "n"), ("þ", "p"), ("ш", "щ"), ("ס", "ש"), ("ث", "ت"),
        ]:
            self.assert_different(*texts)

    def test_a_syllable_is_found_in_a_word_as_it_is_written(self) -> None:
        for word, text in [("한", "한국"), ("नमस", "नमस्ते"), ("ข้า", "ข้าว"), ("がく", "がくせい"), ("й", "мой")]:
            for form in FORMS:
                self.assertIn(fold(normalize(form, word)), fold(text))

    def test_lines_and_words_stay_apart(self) -> None:
        self.assertEqual(fold("É\u0301\nÀ b\tc"), "e\na b\tc")

    def test_accents_alone_are_nothing(self) -> None:
        for text in ["\u0301", "\u200d", "\ufe0f", ""]:
            self.assertEqual(fold(text), "")

    def test_of_every_character_neither_case_nor_form_matters(self) -> None:
        for character in map(chr, range(sys.maxunicode + 1)):
            if category(character) not in ("Cs", "Cn", "Co"):
                folded = fold(character)
                alike = {
                    folded, character.upper(), character.lower(), character.title(),
                    character.casefold(), *(normalize(form, character) for form in FORMS)}
                self.assertEqual({fold(other) for other in alike}, {folded}, ascii(character))

    def test_marks_beyond_any_word_are_dropped(self) -> None:
        """The first 30 of a run count; signs that are no marks are all kept."""
        kept = "क" + "़" * 30
        for text in (kept, kept + "़", kept + "़्" * 100):
            self.assertEqual(fold(text), kept)
            self.assertEqual(fold(fold(text)), fold(text))
        self.assertEqual(fold(kept + "\u200d" + "़" * 30), kept)
        self.assertEqual(fold("é" + "\u0301" * 100 + "x"), "ex")
        for text in ("🍕" * 100, "—" * 31 + "…"):
            self.assertEqual(fold(text), text.replace("…", "..."))

    def test_a_run_of_marks_costs_what_other_texts_cost(self) -> None:
        """To order them all takes 0.8 s for 64 KiB, in which nobody else is served."""
        for marks in ("\u0300\u0323", "़्", "\u0300\u0323" * 20 + "\u200d", "\u0f73", "\u0f75", "\u0f81",
                      "\u0301\uff9e", "\u0301\uff9f"):
            few, many = (self.seconds((marks * length)[:length]) for length in (8_000, 32_000))
            self.assertLess(many, at_most(10 * few + 0.002))

    def test_only_characters_that_are_taken_apart_first_become_marks(self) -> None:
        """Else a run of them would not be seen as one."""
        for number in range(sys.maxunicode + 1):
            first = normalize("NFKD", _MARKS.get(chr(number), chr(number)))[:1]
            if first and not combining(chr(number)) and combining(first):
                self.assertNotIn(chr(number), first)
                self.assertIn(chr(number), _MARKS)

    def seconds(self, text: str) -> float:
        """Return the processor time that a text takes, at best."""
        taken = []
        for _ in range(3):
            started = time.process_time()
            fold(text)
            taken.append(time.process_time() - started)
        return min(taken)

    @property_settings(500)
    @given(TEXTS)
    def test_of_every_text_neither_case_nor_form_matters(self, text: str) -> None:
        folded = fold(text)
        ordered = normalize("NFKD", text)  # U+0345, a mark, is a letter in upper case
        for other in (folded, ordered.lower(), ordered.upper(), *(normalize(f, text) for f in FORMS)):
            self.assertEqual(fold(other), folded)


if __name__ == "__main__":
    unittest.main()
