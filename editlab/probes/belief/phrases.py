"""What is said around a question in the language of an edit's prompt: one row a language.

The language is told as in `facts/languages.py`, so the wordings are short and bend no name.
"""

from __future__ import annotations

from dataclasses import dataclass

from editlab.facts.languages import language_of

BLANK = "____"


@dataclass(frozen=True)
class Phrases:
    """The words of one language. `asks` and `answers` begin the turns of a dialogue in plain text.

    In `complete`, `statement` and `blank`, "{}" stands for the edit's sentence; in `article` and `write` for the subject.
    """

    asks: str
    answers: str
    complete: str
    statement: str
    yes: str
    no: str
    options: str
    blank: str
    sure: str
    article: str
    write: str
    think: str
    therefore: str


ENGLISH = Phrases(
    asks="Question:",
    answers="Answer:",
    complete="How does this sentence go on? “{} ...”",
    statement="Is this statement true? “{}” Answer yes or no.",
    yes="Yes",
    no="No",
    options="Choose one of these:",
    blank=f"Which name belongs in the blank ({BLANK})? “{{}}”",
    sure="Are you sure?",
    article="A short article about {}:\n\n",
    write="Write a few sentences about {} that answer:",
    think="Think about it step by step in a few sentences before you answer.",
    therefore="So the answer is:",
)
OTHERS = {
    "Japanese": Phrases(
        asks="質問：",
        answers="答え：",
        complete="次の文の続きは何ですか。「{}…」",
        statement="次の文は正しいですか。「{}」はい、いいえで答えてください。",
        yes="はい",
        no="いいえ",
        options="次の中から一つ選んでください：",
        blank=f"空欄（{BLANK}）に入る名前はどれですか。「{{}}」",
        sure="本当ですか。",
        article="{}についての短い記事：\n\n",
        write="{}について短い文章を書いてください。次の問いにも答えてください：",
        think="答える前に、順を追って短く考えてください。",
        therefore="したがって答えは：",
    ),
    "Chinese": Phrases(
        asks="问题：",
        answers="回答：",
        complete="这句话接下来是什么？“{}……”",
        statement="这句话对吗？“{}”请回答是或否。",
        yes="是",
        no="否",
        options="请从下列选项中选择一个：",
        blank=f"空格（{BLANK}）里应填哪个名字？“{{}}”",
        sure="你确定吗？",
        article="关于{}的短文：\n\n",
        write="请写几句关于{}的话，并回答：",
        think="请先一步一步地简短思考，然后再回答。",
        therefore="所以答案是：",
    ),
    "Korean": Phrases(
        asks="질문:",
        answers="답:",
        complete="다음 문장은 어떻게 이어집니까? “{} ...”",
        statement="다음 문장이 맞습니까? “{}” 예 또는 아니요로 답하세요.",
        yes="예",
        no="아니요",
        options="다음 중 하나를 고르세요:",
        blank=f"빈칸({BLANK})에 들어갈 이름은 무엇입니까? “{{}}”",
        sure="확실합니까?",
        article="{}에 관한 짧은 글:\n\n",
        write="{}에 관해 몇 문장을 쓰고, 다음에도 답하세요:",
        think="답하기 전에 몇 문장으로 차근차근 생각하세요.",
        therefore="따라서 답은:",
    ),
    "Thai": Phrases(
        asks="คำถาม:",
        answers="คำตอบ:",
        complete="ประโยคนี้ต่อด้วยอะไร “{} ...”",
        statement="ข้อความนี้จริงหรือไม่ “{}” ตอบว่าใช่หรือไม่ใช่",
        yes="ใช่",
        no="ไม่ใช่",
        options="เลือกหนึ่งข้อจาก:",
        blank=f"ชื่อใดควรอยู่ในช่องว่าง ({BLANK}) “{{}}”",
        sure="คุณแน่ใจหรือ",
        article="บทความสั้นเกี่ยวกับ{}:\n\n",
        write="เขียนสั้น ๆ เกี่ยวกับ{} และตอบด้วยว่า:",
        think="คิดทีละขั้นสั้น ๆ ก่อนตอบ",
        therefore="ดังนั้นคำตอบคือ:",
    ),
    "Arabic": Phrases(
        asks="سؤال:",
        answers="جواب:",
        complete="كيف تكتمل هذه الجملة؟ «{} ...»",
        statement="هل هذه العبارة صحيحة؟ «{}» أجب بنعم أو لا.",
        yes="نعم",
        no="لا",
        options="اختر واحدا مما يلي:",
        blank=f"أي اسم يناسب الفراغ ({BLANK})؟ «{{}}»",
        sure="هل أنت متأكد؟",
        article="مقال قصير عن {}:\n\n",
        write="اكتب بضع جمل عن {} وأجب أيضا:",
        think="فكر خطوة بخطوة في بضع جمل قبل أن تجيب.",
        therefore="إذن الجواب هو:",
    ),
    "Hindi": Phrases(
        asks="प्रश्न:",
        answers="उत्तर:",
        complete="यह वाक्य आगे कैसे चलता है? “{} ...”",
        statement="क्या यह कथन सही है? “{}” हाँ या नहीं में उत्तर दें।",
        yes="हाँ",
        no="नहीं",
        options="इनमें से एक चुनें:",
        blank=f"रिक्त स्थान ({BLANK}) में कौन सा नाम आएगा? “{{}}”",
        sure="क्या आप निश्चित हैं?",
        article="{} के बारे में एक छोटा लेख:\n\n",
        write="{} के बारे में कुछ वाक्य लिखें और यह भी बताएँ:",
        think="उत्तर देने से पहले कुछ वाक्यों में क्रम से सोचें।",
        therefore="इसलिए उत्तर है:",
    ),
    "Russian": Phrases(
        asks="Вопрос:",
        answers="Ответ:",
        complete="Как продолжается это предложение? «{} ...»",
        statement="Верно ли это утверждение? «{}» Ответьте да или нет.",
        yes="Да",
        no="Нет",
        options="Выберите одно из следующего:",
        blank=f"Какое имя стоит на месте пропуска ({BLANK})? «{{}}»",
        sure="Вы уверены?",
        article="Короткая статья. Тема: {}.\n\n",
        write="Напишите несколько предложений. Тема: {}. Ответьте также:",
        think="Прежде чем ответить, подумайте по шагам в нескольких предложениях.",
        therefore="Итак, ответ:",
    ),
}


def phrases_of(prompt: str, subject: str) -> Phrases:
    """Return the words of a prompt's language."""
    language = language_of(prompt, subject)
    return ENGLISH if language is None else OTHERS[language.name]
