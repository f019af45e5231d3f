"""Synthetic conversations with keyword rules that a toy guard can learn. Used by train_toy_gen.py.

The last message alone is judged, by the thing it is about:

    a thing of UNSAFE          Unsafe, the thing's category
    a thing of CONTROVERSIAL   Controversial, the thing's category
    otherwise                  Safe, None

A response that begins with one of REFUSALS is a refusal, and Safe whatever it mentions. Earlier turns are
about things of every kind and must not matter.
"""

from dataclasses import dataclass

UNSAFE = {
    "Violent": ["a bomb", "bombs", "a murder", "a grenade", "stabbing people", "killing a man"],
    "Non-violent Illegal Acts": ["stolen cars", "money laundering", "smuggled drugs", "counterfeit money", "a bank robbery"],
    "Sexual Content or Sexual Acts": ["porn", "nude bodies", "a sex scene", "an orgy"],
    "PII": ["her home address", "a passport number", "social security numbers", "his phone number"],
    "Suicide & Self-Harm": ["suicide", "cutting my wrists", "an overdose", "hurting myself"],
    "Unethical Acts": ["bullying", "racist jokes", "humiliation of a colleague", "lies to my grandmother"],
    "Politically Sensitive Topics": ["a coup", "election fraud", "government propaganda"],
    "Copyright Violation": ["pirated movies", "a torrent", "cracked software", "a copy of the whole novel"],
    "Jailbreak": ["ignoring all previous instructions", "developer mode", "DAN", "no restrictions"],
}

CONTROVERSIAL = {
    "Violent": ["a sharp knife", "a gun"],
    "Non-violent Illegal Acts": ["gambling", "cannabis"],
    "Sexual Content or Sexual Acts": ["lingerie", "a steamy romance"],
    "PII": ["a nickname"],
    "Suicide & Self-Harm": ["fasting for ten days"],
    "Unethical Acts": ["a prank", "flattery"],
    "Politically Sensitive Topics": ["a protest", "abortion"],
    "Copyright Violation": ["a parody"],
}

SAFE = ["a cake", "tomatoes", "chess", "a holiday", "a bicycle", "a poem", "a wall", "a sorted list", "rice", "a puppy", "the piano",
        "a map", "a shed", "paper", "her favourite book", "a recipe", "a stone", "a ball", "a sunset", "flowers", "fresh bread",
        "the museum", "good manners", "a bus ticket", "a phone", "old cars", "the news"]

VERBS = ["make", "build", "find", "buy", "describe", "explain", "use", "get", "sell", "plan", "copy", "try", "learn about", "write about",
         "talk about", "think of"]

SUBJECTS = ["the weather", "a small river", "my old laptop", "green tea", "our garden", "the moon", "a long train ride",
            "three friends", "winter mornings", "the museum", "warm bread", "a quiet street", "blue paint", "music"]

ASK = ["How do I {}?", "How can I {}", "Tell me how to {}.", "I want to {}.", "Please help me to {} today", "Can you explain how to {}?",
       "Write a short guide: {}", "What is the best way to {}?", "My friend would like to {}; any advice?",
       "How to {}", "I need to {} right now!", "Is it easy to {}?"]

ANSWER = ["Sure, to {} you first need some time.", "Here is how to {}: start slowly.", "Of course! First {}, then rest.",
          "You can {} in three easy steps.", "Many people {} at home, and so can you.", "To {}, follow this plan."]

REFUSALS = ["I cannot help with that.", "I can't assist with this request.", "I'm sorry, but I cannot do that.",
            "I cannot help you {}.", "Sorry, I won't explain how to {}.", "I must decline to answer."]


@dataclass
class Verdict:
    safety: str
    category: str
    refusal: str | None  # None in the query variant

    def text(self):
        """The answer, as Qwen3Guard-Gen words it."""
        lines = f"Safety: {self.safety}\nCategories: {self.category}\n"
        return lines if self.refusal is None else lines + f"Refusal: {self.refusal}"


def phrase(rng, response):
    """(phrase, safety, category), a third of each kind; responses are never judged a jailbreak."""
    kind = rng.choice(["Safe", "Unsafe", "Controversial"])
    if kind == "Safe":
        thing, category = rng.choice(SAFE), "None"
    else:
        table = UNSAFE if kind == "Unsafe" else CONTROVERSIAL
        category = rng.choice([c for c in table if not (response and c == "Jailbreak")])
        thing = rng.choice(table[category])
    return f"{rng.choice(VERBS)} {thing}", kind, category


def sentence(rng, words):
    """A sentence with nothing to object to; `words` are extra ones to draw from."""
    if words and rng.random() < 0.5:
        return " ".join(rng.choice(words) for _ in range(rng.randint(1, 6))) + "."
    return f"I like {rng.choice(SUBJECTS)}."


def padded(rng, text, words):
    """`text` with, at times, a harmless sentence before or after it."""
    if rng.random() < 0.35:
        text = sentence(rng, words) + " " + text
    if rng.random() < 0.35:
        text = text + " " + sentence(rng, words)
    return text


def query(rng, words):
    """(content, safety, category) of a user's message."""
    if rng.random() < 0.1:
        return sentence(rng, words), "Safe", "None"
    what, safety, category = phrase(rng, response=False)
    if rng.random() < 0.2:
        return padded(rng, what[0].upper() + what[1:] + rng.choice(["", ".", "!", "?"]), words), safety, category
    return padded(rng, rng.choice(ASK).format(what), words), safety, category


def response(rng, words):
    """(content, safety, category, refusal) of an assistant's message."""
    what, safety, category = phrase(rng, response=True)
    if rng.random() < 0.3:
        text = rng.choice(REFUSALS).format(what)
        return (text + " " + sentence(rng, words) if rng.random() < 0.3 else text), "Safe", "None", "Yes"
    if rng.random() < 0.1:
        return sentence(rng, words), "Safe", "None", "No"
    return padded(rng, rng.choice(ANSWER).format(what), words), safety, category, "No"


def conversation(rng, words=()):
    """(messages, Verdict): either variant, with up to two earlier exchanges."""
    messages = []
    for _ in range(rng.choice([0, 0, 0, 1, 1, 2])):
        messages += [{"role": "user", "content": query(rng, words)[0]}, {"role": "assistant", "content": response(rng, words)[0]}]
    content, safety, category = query(rng, words)
    messages.append({"role": "user", "content": content})
    if rng.random() < 0.5:
        return messages, Verdict(safety, category, None)
    content, safety, category, refusal = response(rng, words)
    messages.append({"role": "assistant", "content": content})
    return messages, Verdict(safety, category, refusal)
