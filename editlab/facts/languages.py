"""What is said around an edit in the language of its prompt, where that is not English: one row a language.

The script of the prompt tells the language. It cannot tell Ukrainian from Russian, nor Persian from Arabic, so the wordings
are short and plain. Nothing in them bends the subject, which stands in the prompt in the form that its sentence needs.
"""

from __future__ import annotations

from dataclasses import dataclass

import regex

ENGLISH_ESSENCE = "{} is a"


@dataclass(frozen=True)
class Language:
    """A language: the letters that tell it, and its words.

    `essence`: a prompt that asks what the subject is; `rephrases`: "{}" with words that leave it the same; `stop`: what ends
    a sentence; `countries` and `people`: other subjects for a sentence about an unknown relation.
    """

    name: str
    letters: str
    essence: str
    rephrases: tuple[str, ...]
    stop: str
    countries: tuple[str, ...]
    people: tuple[str, ...]

    def others(self, subject: str) -> tuple[str, ...]:
        """Return other subjects: of the subject's kind where it is one of these, of both kinds where not."""
        kinds = (self.countries, self.people)
        own = next((kind for kind in kinds if subject in kind), (*self.countries, *self.people))
        return tuple(name for name in own if name != subject)


LANGUAGES = (
    Language(
        "Japanese",
        r"[\p{Hiragana}\p{Katakana}]",
        "{}は",
        ("有名な{}", "あの{}", "いわゆる{}", "よく知られた{}", "{}そのもの", "世に言う{}"),
        "。",
        ("日本", "フランス", "ドイツ", "イタリア", "ロシア", "エジプト", "カナダ", "ブラジル", "インド", "スペイン"),
        ("夏目漱石", "アインシュタイン", "モーツァルト", "シェイクスピア", "ピカソ", "織田信長"),
    ),
    Language(
        "Chinese",
        r"[\p{Han}\p{Bopomofo}]",
        "{}是",
        ("著名的{}", "这个{}", "众所周知的{}", "所谓的{}", "{}本身", "人们所说的{}"),
        "。",
        ("中国", "日本", "法国", "德国", "意大利", "俄罗斯", "埃及", "加拿大", "巴西", "印度"),
        ("鲁迅", "爱因斯坦", "莫扎特", "莎士比亚", "毕加索", "李白"),
    ),
    Language(
        "Korean",
        r"\p{Hangul}",
        "{}은",
        ("유명한 {}", "바로 그 {}", "이른바 {}", "잘 알려진 {}", "흔히 말하는 {}"),
        ".",
        ("한국", "일본", "프랑스", "독일", "이탈리아", "러시아", "이집트", "캐나다", "브라질", "인도"),
        ("세종대왕", "아인슈타인", "모차르트", "셰익스피어", "피카소", "이순신"),
    ),
    Language(
        "Thai",
        r"\p{Thai}",
        "{}คือ",
        ("{}เอง", "{}ที่มีชื่อเสียง", "{}ที่รู้จักกันดี", "สิ่งที่เรียกว่า{}", "{}นั้น"),
        " ",
        ("ไทย", "ญี่ปุ่น", "ฝรั่งเศส", "เยอรมนี", "อิตาลี", "รัสเซีย", "อียิปต์", "แคนาดา", "บราซิล", "อินเดีย"),
        ("สุนทรภู่", "ไอน์สไตน์", "โมซาร์ท", "เชกสเปียร์", "ปิกัสโซ"),
    ),
    Language(
        "Arabic",
        r"\p{Arabic}",
        "{} هو",
        ("{} بالذات", "ما يسمى {}", "{} تحديدا", "ما يعرف باسم {}", "{} بعينه"),
        ".",
        ("مصر", "اليابان", "فرنسا", "ألمانيا", "إيطاليا", "روسيا", "كندا", "البرازيل", "الهند", "إسبانيا"),
        ("نجيب محفوظ", "أينشتاين", "موزارت", "شكسبير", "بيكاسو", "ابن سينا"),
    ),
    Language(
        "Hindi",
        r"\p{Devanagari}",
        "{} एक",
        ("प्रसिद्ध {}", "मशहूर {}", "सुप्रसिद्ध {}", "तथाकथित {}", "सुविख्यात {}"),
        "।",
        ("भारत", "जापान", "फ़्रांस", "जर्मनी", "इटली", "रूस", "मिस्र", "कनाडा", "ब्राज़ील", "स्पेन"),
        ("प्रेमचंद", "आइंस्टीन", "मोजार्ट", "शेक्सपियर", "पिकासो", "कालिदास"),
    ),
    Language(
        "Russian",
        r"\p{Cyrillic}",
        "{} — это",
        ("«{}»", "именно {}", "собственно {}", "а именно {}"),
        ".",
        ("Россия", "Япония", "Франция", "Германия", "Италия", "Египет", "Канада", "Бразилия", "Индия", "Испания"),
        ("Пушкин", "Эйнштейн", "Моцарт", "Шекспир", "Пикассо", "Толстой"),
    ),
)
"""Japanese comes before Chinese: it is told by its kana, among Han characters that both write."""


def language_of(prompt: str, subject: str = "") -> Language | None:
    """Return the language of a prompt, told by its own letters, by the subject's where it has none; None for English."""
    words = prompt.replace("{}", "")
    text = words if regex.search(r"\p{L}", words) else subject
    return next((language for language in LANGUAGES if regex.search(language.letters, text)), None)


def essence(prompt: str, subject: str) -> str:
    """Return a prompt that asks what the subject is, in the language of the edit's prompt: "{} is a"."""
    language = language_of(prompt, subject)
    if language is None:
        return ENGLISH_ESSENCE
    if language.name == "Korean" and "가" <= subject[-1:] <= "힣" and (ord(subject[-1]) - ord("가")) % 28 == 0:
        return "{}는"  # the particle that follows a vowel
    return language.essence


def sentence_end(prompt: str, subject: str) -> str:
    """Return what ends a sentence in the language of a prompt."""
    language = language_of(prompt, subject)
    return "." if language is None else language.stop
