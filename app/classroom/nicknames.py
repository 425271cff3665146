"""Which nicknames a student may take."""

from __future__ import annotations

import unicodedata

LONGEST = 12
#: Marks in a row on one letter: some scripts need two, and more only make a mess of the line.
MARKS = 2
#: Parts of words that nobody should read on a projector.
RUDE = (
    "anal anus arsch arse bitch boner clit cock coon cunt dick dildo fag fick fotze fuck hitler hure jizz kike kkk "
    "merde mierda muschi nazi neger nigg nutte paki penis piss porn puta putain pussy rape retard schlampe semen sexy "
    "shit slut spast titten tits twat vagina wank whore wichs"
).split()
#: Innocent words that hold a rude part.
INNOCENT = (
    "analog analy banal basement canal cocktail cocoon computa dickens drape fickle grape hancock janus kshit nazia "
    "nazim nazir parse peacock raccoon scunthorpe sparse tetanus therape"
).split()
#: What digits stand for where a word is spelt with them.
SPELT = (str.maketrans("0134578", "oieastb"), str.maketrans("0134578", "oleastb"))


class NotANickname(ValueError):
    """Why a text cannot be a nickname, in words for whoever typed it."""


def is_rude(text: str) -> bool:
    """Whether a rude word is in the text, also where digits take the place of letters."""
    plain = text.casefold()
    for table in SPELT:
        spelt = plain.translate(table)
        for word in INNOCENT:
            spelt = spelt.replace(word, " ")
        if any(word in spelt for word in RUDE):
            return True
    return False


def read_nickname(written: str) -> str:
    """The nickname in its usual form (NFKC). Raises NotANickname."""
    name = unicodedata.normalize("NFKC", written).strip()
    kinds = [unicodedata.category(letter)[0] for letter in name]
    fits = 1 <= len(name) <= LONGEST and set(kinds) <= set("LMN") and kinds[0] != "M"
    if not fits or "M" * (MARKS + 1) in "".join(kinds):
        raise NotANickname(f"a nickname is 1 to {LONGEST} letters or digits, without spaces")
    if "L" not in kinds:
        raise NotANickname("a nickname has at least one letter; plain numbers are given by the room")
    if is_rude("".join(letter for letter in unicodedata.normalize("NFKD", name) if letter.isalnum())):
        raise NotANickname("please choose another nickname")
    return name


def key_of(name: str) -> str:
    """What two nicknames share that look the same."""
    return unicodedata.normalize("NFKC", name.casefold())
