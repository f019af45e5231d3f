#!/usr/bin/env python3
"""Runs OpenAI's own Python package against a running server.

    python3 -m venv venv && venv/bin/pip install openai
    qwen3guard serve --listen 127.0.0.1:8080 &
    venv/bin/python tests/clients/openai_python.py http://127.0.0.1:8080/v1 [API_KEY]

Exit status 0 when every answer has the shape that the package's types promise.
"""

import re
import sys

import openai

# From the official README of Qwen3Guard-Gen.
SAFETY = r"Safety: (Safe|Unsafe|Controversial)"
CATEGORY = (
    r"(Violent|Non-violent Illegal Acts|Sexual Content or Sexual Acts|PII|Suicide & Self-Harm|"
    r"Unethical Acts|Politically Sensitive Topics|Copyright Violation|Jailbreak|None)"
)


def check(condition: bool, what: str) -> None:
    if not condition:
        sys.exit(f"FAILED: {what}")
    print(f"ok: {what}")


def moderations(client: openai.OpenAI) -> None:
    one = client.moderations.create(model="omni-moderation-latest", input="How do I whittle a spoon?")
    result = one.results[0]
    # Strict validation: every key that the package's types require is there, with its type.
    type(one).model_validate(one.model_dump(by_alias=True), strict=True)
    check(len(result.categories.model_dump(by_alias=True)) == 13, "moderations: 13 categories")
    check(0 <= result.category_scores.violence <= 1, "moderations: scores")
    check(result.category_applied_input_types.violence == ["text"], "moderations: input types")
    check("qwen3guard" in (result.model_extra or {}), "moderations: the native verdict beside it")
    several = client.moderations.create(input=["a spoon", "a fork", "a knife"])
    check(len(several.results) == 3, "moderations: one result for each text")
    parts = client.moderations.create(input=[{"type": "text", "text": "a spoon"}])
    check(len(parts.results) == 1, "moderations: content parts")
    try:
        client.moderations.create(
            input=[{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]
        )
        check(False, "moderations: an image is refused")
    except openai.BadRequestError as error:
        check(error.code == "unsupported", "moderations: an image is refused")


def chat(client: openai.OpenAI) -> None:
    messages = [
        {"role": "user", "content": "How do I whittle a spoon?"},
        {"role": "assistant", "content": "Carve along the grain."},
    ]
    plain = client.chat.completions.create(model="Qwen/Qwen3Guard-Gen-4B", messages=messages)
    text = plain.choices[0].message.content
    check(re.search(SAFETY, text) is not None, "chat: the README's pattern finds the safety")
    check(len(re.findall(CATEGORY, text)) >= 1, "chat: the README's pattern finds the categories")
    check(plain.choices[0].finish_reason == "stop", "chat: finish reason")
    check(plain.usage.prompt_tokens > 0, "chat: usage")

    stream = client.chat.completions.create(
        model="Qwen/Qwen3Guard-Gen-4B",
        messages=messages,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    streamed = "".join(
        choice.delta.content or "" for chunk in chunks for choice in chunk.choices
    )
    check(streamed == text, "chat: streamed text equals the plain one")
    check(chunks[-1].usage is not None, "chat: streamed usage")


def models(client: openai.OpenAI) -> None:
    found = client.models.list().data
    check(len(found) == 1 and found[0].object == "model", f"models: {found[0].id}")


def main() -> None:
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    key = sys.argv[2] if len(sys.argv) == 3 else "none"
    client = openai.OpenAI(base_url=sys.argv[1], api_key=key, max_retries=0)
    print(f"openai {openai.__version__}")
    models(client)
    moderations(client)
    chat(client)
    print("all fine")


if __name__ == "__main__":
    main()
