/**
 * What a search takes for the same text, by the service's own rule: see taskservice/folding.py. Instead of case
 * folding, which JavaScript lacks, it takes the lower case of the upper case of the lower case (ẞ, ß, SS, ss).
 */
const UNSEEN = "\\p{Default_Ignorable_Code_Point}";
const ACCENTS = "\\u0300-\\u0305\\u0307-\\u036f\\u1ab0-\\u1aff\\u1dc0-\\u1dff\\u20d0-\\u20ff\\ufe20-\\ufe2f";
const CYRILLIC = "\\u0483-\\u0489";
const HEBREW = "\\u0591-\\u05bd\\u05bf\\u05c1\\u05c2\\u05c4\\u05c5\\u05c7";
const ARABIC = "\\u0610-\\u061a\\u064b-\\u065f\\u0670\\u06d6-\\u06dc\\u06df-\\u06e4\\u06e7\\u06e8\\u06ea-\\u06ed"
  + "\\u08d3-\\u08e1\\u08e3-\\u08ff";
const SYRIAC = "\\u0711\\u0730-\\u074a";
const DROPPED = new RegExp(
  `[${UNSEEN}${ACCENTS}${CYRILLIC}${HEBREW}${ARABIC}${SYRIAC}]|(?<!\\u0438)\\u0306`, "gu");
const LETTERS = {"æ": "ae", "đ": "d", "ð": "d", "ħ": "h", "ł": "l", "ø": "o", "œ": "oe", "ς": "σ"};

/** Return what a search compares of a text; it may be longer or shorter, and empty. */
export function fold(text) {
  return text.normalize("NFKD").toLowerCase().toUpperCase().toLowerCase().normalize("NFKD")
    .replace(DROPPED, "").replace(/[æđðħłøœς]/gu, (letter) => LETTERS[letter]).normalize("NFC");
}
