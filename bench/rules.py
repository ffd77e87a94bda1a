"""What the judge asks of each task: its form, how a text names its subject, and word lists for what its attributes govern.

A list holds the words that the attribute's meaning suggests, completed from the written rows; `python -m bench.evening --ceiling`
prints how many of the rows held out from all training pass, and how many would with another row's attributes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from bench.judge import Fields

STEM = 4
"""Letters by which two forms of a word are taken for the same."""


def pattern(stems: str) -> re.Pattern[str]:
    """Matches any of the words; `trad*` is every word that begins so."""
    return re.compile(r"\b(" + "|".join(stem.replace("*", r"\w*") for stem in stems.split()) + r")\b", re.IGNORECASE)


def found(lexicon: re.Pattern[str], text: str) -> set[str]:
    """The different words of `text` that the lexicon holds."""
    return {match.group().lower() for match in lexicon.finditer(text)}


def shares_a_word(text: str, value: str) -> bool:
    """Whether the text has a word of `value` (of four letters or more, in any form)."""
    own = {word[:STEM] for word in re.findall(r"\w{4,}", text.lower())}
    return any(word[:STEM] in own for word in re.findall(r"\w{4,}", value.lower()))


# -- empires: prose of some sentences about a people with a name of its own ---------------------------------------------

DISPOSITIONS = {
    "Aloof": pattern(
        "aloof alone apart appointment asleep distan* empty explanation* hermit* ignor* indifferen* look* malice mirror* never notic* "
        "opinion* permit* petition* privacy private quiet* remote* return* seal* shy silen* spoken touch* unspoken vacan* whisper* withdr*"
    ),
    "Curious": pattern(
        "answer* apart ask* collect* curio* dissect* examin* experiment* footnote* inquir* interest* know label* learn* measur* note* "
        "question* specimen* stud* test* unpick* watch* what why wonder*"
    ),
    "Hospitable": pattern(
        "bed beds blanket* bread broth cabin cook* eat eats feast* guest* hospital* host hosts hug* invit* inn inns kitchen* lodg* meal* "
        "menu pudding* rescu* roast* slippers soup stay stranger* supper* table* tavern* tea traveller* visitor* warm* welcom* wine"
    ),
    "Mercantile": pattern(
        "account* auction* bargain* barter* bid bids bill* bought buy* cargo* catalogue* coin* contract* cost* credit* customer* debt* "
        "deal* deliver* discount* fair* goods haggl* invoice* ledger* market* merchant* money offer* paid pay* price* profit* receipt* "
        "sale* sell* shop* sold stall* trad* wares"
    ),
    "Hostile": pattern(
        "attack* battle* bellow* bit bite* bitten blood* brood* burn* challeng* crush* destroy* devour* eating enem* fight* fire* fought "
        "fury grudge* gun* hate* hatred hunt* insult* invad* jaw* kill* rage raid* shoot* shot spite strike* struck teeth threat* war* weapon*"
    ),
    "Zealous": pattern(
        "belie* bless* brethren cathedral* choir* convert* correct* creed crusade* doctrine* faith* friar* god gods guilt* heres* heretic* "
        "holy hymn* judg* mission* opinion pamphlet* pilgrim* pray* preach* prophet* righteous* sacred sin sins surrender* temple* truth "
        "true verdict* worship*"
    ),
    "Melancholy": pattern(
        "ash ashes cried cry* dead death* died dies dying empty fade* farewell* forgot* funeral* gone grave* grie* last left letter* lonel* "
        "lost memor* mourn* old regret* rememb* ruin* sad* sob* sorrow* sorry tear tears weep* wept widow*"
    ),
    "Deceitful": pattern(
        "actor* bluff* caught cheat* code* convinc* deceit* deceiv* disguis* face faces fake* false* forge* forging fraud* hidden hide* imposter* "
        "liar* lie lied lies lying mask* paint* play* predict* pretend* promis* rumour* secret* seem* spies spy* stole* swindl* trick*"
    ),
}
LEAST_HITS = 2
"""Different words of the disposition's list in a text of about a hundred words."""
SMALL_WORDS = pattern(
    "the a an and or of to in on at by for from with it its he she they we you i his her their our your my is are was were who what "
    "when where why how if not no nobody nothing one two three once every all any some this that these those there here then"
)


def names(text: str) -> set[str]:
    """The words with a capital letter that do not begin a sentence."""
    inner = re.findall(r"(?<![.!?:\"'“‘(\n])[ -]([A-Z][a-z]+)", text)
    return {name for name in inner if not SMALL_WORDS.fullmatch(name)}


def empire_form(text: str) -> bool:
    """Three sentences or more, in one or two paragraphs."""
    return len(re.findall(r"[.!?]+[\"'”’)]*(?=\s|$)", text)) >= 3 and text.count("\n") <= 2


def empire_subject(text: str, fields: Fields, earlier: Sequence[str]) -> bool:
    """It has a name that no example has."""
    return bool(names(text) - {name for other in earlier for name in names(other)})


def empire_attributes(text: str, fields: Fields) -> bool:
    """Its words are those of its disposition. Danger and structure colour a text in ways that no list of words can tell."""
    return "Disposition" not in fields or len(found(DISPOSITIONS[fields["Disposition"]], text)) >= LEAST_HITS


# -- skill checks: one fixed sentence form, an ability that suits the action --------------------------------------------

CHECK = re.compile(
    r"Make (?:a (Strength|Dexterity|Constitution|Wisdom|Charisma)|an (Intelligence)) check, difficulty (\d{1,2})\. "
    r"Success: [^\n]{10,}[.!?] Failure: [^\n]{10,}[.!?]"
)
ABILITIES = {
    "Strength": pattern(
        "bend break carry climb cut drag force hold haul keep lead lift outrun pull push row shove swim tear throw work wrestle"
    ),
    "Dexterity": pattern(
        "balance catch climb count cross cut dodge grab hide juggle jump outrun pick run slip sneak stay throw untie work"
    ),
    "Constitution": pattern("drink eat endure hold outlast outrun sit stay swallow swim take taste wait"),
    "Intelligence": pattern("bid boil check count cross decode find guess plot read recall remember solve splint study"),
    "Wisdom": pattern("boil break count feed find follow guess lead listen news sense splint stay tend track tell wait walk watch"),
    "Charisma": pattern(
        "answer apologise ask bluff break call claim feed flatter haggle join keep knock lead news persuade promise sing speak tell"
    ),
}


def check_form(text: str) -> bool:
    """`Make a ... check, difficulty N. Success: ... Failure: ...`, with a possible difficulty."""
    match = CHECK.fullmatch(text)
    return match is not None and 5 <= int(match.group(3)) <= 25


def check_body(text: str) -> str:
    """What follows the prescribed sentence."""
    return text[text.find("Success:") :] if "Success:" in text else text


def check_subject(text: str, fields: Fields, earlier: Sequence[str]) -> bool:
    """It speaks of something in its situation."""
    return shares_a_word(check_body(text), " ".join(fields.values()))


def check_attributes(text: str, fields: Fields) -> bool:
    """The ability is one that its action asks for."""
    match = re.match(r"Make an? (\w+) check", text)
    if "Action" not in fields:
        return True
    return match is not None and match.group(1) in ABILITIES and bool(found(ABILITIES[match.group(1)], fields["Action"]))


# -- paintings: one long sentence of phrases, with a technique, in the words of a mood -----------------------------------

TECHNIQUE = pattern(
    "acrylic* aquatint brush* canvas chalk charcoal copper crayon* drybrush egg etching gouache ink linen linocut lithograph oil oils "
    "panel paper pastel* pen pencil* tempera wash watercolour* watercolor* woodcut"
)
MOODS = {
    "Calm": pattern(
        "afternoon alone bed blue* calm cool* drift* early eas* evening gentl* hush* lean* low moonlight morning muted pale peac* quiet* "
        "rest* shade* sits* sleep* slow* smooth* soft* still* sweep* thin tidy trail* unhurried warm* white willow*"
    ),
    "Eerie": pattern(
        "abandoned black broken cold curtain* dead dim dusk empty every facing faceless fog footprint* green grey hollow lit long mist "
        "moving night no nobody one shadow* shut silent strange tall unlit vacant watch* windows wrong"
    ),
    "Joyful": pattern(
        "bright* cheer* children clap* cream crowded danc* fair festival fly* flying gold* grin* jump* kites laugh* lemon leap* light "
        "music* orange party pink play* poppies racing race* red run* sing* splash* spray sun* sunlight thick tilted yellow"
    ),
    "Grim": pattern(
        "ash ashes beams black bleak bone* burn* candle charcoal cold crow crows cut dark* dead empty flat grave* grey hard heavy iron last lead "
        "mud no nobody rain* ribs ruin* rust* single slate smoke snow soot umber without wound*"
    ),
    "Dreamlike": pattern(
        "bird* cloud* dissolv* dream* drift* dusk float* flown fly* flying gold half haze hover* leaf melt* mist* moon* open* pastel "
        "perch* river sea silver sky sleep* soften* star* suns swallow* swan* tiny tower* turn* two ultramarine whale wing*"
    ),
}


def painting_form(text: str) -> bool:
    """One sentence of five phrases or more, one of which tells the technique."""
    return text.count(",") >= 4 and not re.search(r"[.!?]\s", text) and "\n" not in text and bool(found(TECHNIQUE, text))


def painting_subject(text: str, fields: Fields, earlier: Sequence[str]) -> bool:
    """It shows its subject."""
    return "Subject" not in fields or shares_a_word(text, fields["Subject"])


def painting_attributes(text: str, fields: Fields) -> bool:
    """It has words of its mood, and of no other mood two more."""
    if "Mood" not in fields:
        return True
    counts: Mapping[str, int] = {mood: len(found(lexicon, text)) for mood, lexicon in MOODS.items()}
    return counts[fields["Mood"]] >= 1 and counts[fields["Mood"]] >= max(counts.values()) - 1
