"""Small banks of exam questions for tests; the right option of each is `b`."""

from collections.abc import Mapping

from data.markets import Language
from data.records.exams import OPTIONS, Bank, Exam, Question, QuestionText

TOPICS: Mapping[str, int] = {"signal": 6, "safety": 4}
KEY = "b"


def question(number: int, topic: str, certificate: str = "wifi", *, key: str = KEY) -> Question:
    """Return a question whose texts name its code, the language and the option."""
    code = f"{certificate}-{number:02}"
    texts = {
        language: QuestionText(
            text=f"Question {code} in {language}?",
            options={option: f"Option {number} {option} {language}" for option in OPTIONS},
            why=f"Because of {code} in {language}.",
        )
        for language in Language
    }
    return Question(code=code, topic=topic, difficulty=1 + number % 3, key=key, texts=texts)


def bank(certificate: str = "wifi", *, per_topic: int = 10, key: str = KEY) -> Bank:
    """Return a bank of two topics with `per_topic` questions each; a sitting draws ten."""
    questions = [
        question(number + per_topic * at, topic, certificate, key=key)
        for at, topic in enumerate(TOPICS)
        for number in range(1, per_topic + 1)
    ]
    exam = Exam(
        certificate=certificate,
        minutes=20,
        pass_bp=8000,
        attempts=3,
        cooldown_days=7,
        topics=TOPICS,
    )
    names = {
        topic: {language: f"{topic} ({language})" for language in Language} for topic in TOPICS
    }
    return Bank(exam=exam, names=names, questions=questions)


def toml(bank: Bank) -> str:
    """Return a bank as its file in `data/seed/exams`."""
    exam = bank.exam
    lines = [
        f"minutes = {exam.minutes}",
        f"pass_bp = {exam.pass_bp}",
        f"attempts = {exam.attempts}",
        f"cooldown_days = {exam.cooldown_days}",
        "[topics]",
        *(f"{topic} = {quota}" for topic, quota in exam.topics.items()),
    ]
    for topic, names in bank.names.items():
        lines += [f"[names.{topic}]", *(f'{key} = "{name}"' for key, name in names.items())]
    for one in bank.questions:
        lines += ["[[questions]]", f'code = "{one.code}"', f'topic = "{one.topic}"']
        lines += [f"difficulty = {one.difficulty}", f'key = "{one.key}"']
        for language, text in one.texts.items():
            lines += [f"[questions.{language}]", f'text = "{text.text}"', f'why = "{text.why}"']
            lines += [f'{option} = "{words}"' for option, words in text.options.items()]
    return "\n".join(lines) + "\n"
