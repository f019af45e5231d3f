"""Trains a toy Qwen3Guard-Gen in a few minutes and writes the golden numbers of its answers.

    <models>/toy-gen/           config.json, generation_config.json, model.safetensors (BF16), tokenizer.json
                                (trim_tokenizer.py), tokenizer_config.json with gen_template.jinja
    <out>                       gen.json, see `golden`

It learns the keyword rules of toy_conversations.py behind the exact prompt of Qwen3Guard-Gen and answers in
its exact format, so every part around the model can be tested end to end. It is a guard of nothing else.
Golden numbers are fp32 arithmetic by `transformers` on the stored BF16 values.

    python train_toy_gen.py --tokenizer tokenizer.json --models ../tests/golden/models --out ../tests/golden/gen.json
"""

import argparse
import json
import pathlib
import random
import re
import time

import torch
import transformers
from tokenizers import Tokenizer
from transformers import Qwen3Config, Qwen3ForCausalLM

import toy_conversations
import trim_tokenizer
from export_templates import gen_template, render_gen

ANSWER = re.compile(r"Safety: (Safe|Unsafe|Controversial)\nCategories: (None|{})\n(?:Refusal: (Yes|No))?".format(
    "|".join(toy_conversations.UNSAFE)))


# ------------------------------------------------------------------------------------------- checkpoint

def trimmed_tokenizer(full, size):
    """Trimmed to the prompt, the answers and the phrases; the rest of the room goes to common tokens."""
    rng = random.Random(1)
    conversations = [toy_conversations.conversation(rng) for _ in range(2000)]
    return trim_tokenizer.trim(full, [render_gen(messages) + verdict.text() for messages, verdict in conversations], size)


def write_json(path, value):
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_checkpoint(folder, model, spec):
    """The folder as official checkpoints look; weights rounded to BF16."""
    folder.mkdir(parents=True, exist_ok=True)
    model.to(torch.bfloat16).save_pretrained(folder)
    ids = {token["content"]: token["id"] for token in spec["added_tokens"]}
    config = json.loads((folder / "config.json").read_text())
    config |= {"rope_theta": int(config.pop("rope_parameters")["rope_theta"]), "rope_scaling": None,
               "torch_dtype": config.pop("dtype"), "bos_token_id": ids["<|endoftext|>"], "eos_token_id": ids["<|im_end|>"]}
    for key in ("layer_types", "transformers_version", "pad_token_id"):
        config.pop(key, None)
    write_json(folder / "config.json", dict(sorted(config.items())))
    write_json(folder / "generation_config.json", {
        "bos_token_id": ids["<|endoftext|>"], "do_sample": False, "pad_token_id": ids["<|endoftext|>"],
        "eos_token_id": [ids["<|im_end|>"], ids["<|endoftext|>"]]})
    trim_tokenizer.save(spec, folder / "tokenizer.json")
    write_json(folder / "tokenizer_config.json", {
        "add_bos_token": False, "add_prefix_space": False,
        "added_tokens_decoder": {str(t["id"]): {k: v for k, v in t.items() if k != "id"} for t in spec["added_tokens"]},
        "bos_token": None, "chat_template": gen_template(), "clean_up_tokenization_spaces": False,
        "eos_token": "<|im_end|>", "errors": "replace", "model_max_length": 4096, "pad_token": "<|endoftext|>",
        "split_special_tokens": False, "tokenizer_class": "Qwen2Tokenizer", "unk_token": None})


# --------------------------------------------------------------------------------------------- training

def shortened(prompt):
    """The prompt without its policy, categories and instructions: a quarter of the tokens, the same conversation."""
    head, rest = prompt.split("\n\n<BEGIN SAFETY POLICY>", 1)
    conversation, tail = rest[rest.index("<BEGIN CONVERSATION>"):].split(" in the above conversation:\n", 1)
    return head.split("\n2)")[0] + "\n\n" + conversation + tail[tail.index("<|im_end|>"):]


def batch_of(count, prompt_of, tokenizer, end, rng, words):
    """ids [count, T] padded on the right, and targets [count, T]: the answer's tokens one place early, else -100."""
    rows = []
    for _ in range(count):
        messages, verdict = toy_conversations.conversation(rng, words)
        prompt = prompt_of(render_gen(messages))
        begin, whole = len(tokenizer.encode(prompt).ids), tokenizer.encode(prompt + verdict.text()).ids + [end]
        rows.append((whole, begin))
    longest = max(len(whole) for whole, _ in rows)
    ids = torch.full((count, longest), end)
    targets = torch.full((count, longest), -100)
    for n, (whole, begin) in enumerate(rows):
        ids[n, :len(whole)] = torch.tensor(whole)
        targets[n, begin - 1:len(whole) - 1] = ids[n, begin:len(whole)]
    return ids, targets


def train(model, prompt_of, steps, batch, rate, tokenizer, end, rng, words):
    """AdamW over one warm-up and decay to zero; only the answer's positions reach the LM head."""
    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() == 1]
    optimizer = torch.optim.AdamW([{"params": matrices, "weight_decay": 0.05}, {"params": vectors, "weight_decay": 0.0}],
                                  betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=rate, total_steps=steps, pct_start=0.1)
    began, average = time.time(), None
    for step in range(1, steps + 1):
        ids, targets = batch_of(batch, prompt_of, tokenizer, end, rng, words)
        judged = targets != -100
        hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state
        loss = torch.nn.functional.cross_entropy(model.lm_head(hidden[judged]), targets[judged])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        average = loss.item() if average is None else 0.98 * average + 0.02 * loss.item()
        if step % 100 == 0:
            print(f"step {step}: loss {average:.4f}, {time.time() - began:.0f} s", flush=True)


# ----------------------------------------------------------------------------------------------- golden

@torch.no_grad()
def answer(model, ids):
    """(greedy ids [n] after the prompt, with the closing <|im_end|>; the narrowest lead of a chosen logit)."""
    prompt = torch.tensor([ids])
    out = model.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=32, do_sample=False)
    best = model(out).logits[0, len(ids) - 1:-1].topk(2)
    assert best.indices[:, 0].tolist() == out[0, len(ids):].tolist()
    return out[0, len(ids):].tolist(), (best.values[:, 0] - best.values[:, 1]).min().item()


@torch.no_grad()
def forced(model, tokenizer, prompt, prefix, labels):
    """Logits of the first token of " " + label, for each label, after the prompt and the forced `prefix`."""
    ids = tokenizer.encode(prompt + prefix).ids
    first = [tokenizer.encode(prompt + prefix + " " + label).ids[len(ids)] for label in labels]
    assert len(set(first)) == len(labels)
    logits = model(torch.tensor([ids])).logits[0, -1]
    return {"prefix": prefix, "labels": labels, "ids": first, "logits": [round(logits[i].item(), 5) for i in first]}


def golden(model, tokenizer, conversations):
    """[{messages, text, ids, output, output_ids, margin, safety, category, refusal, forced}], see tests/golden/README.md."""
    categories = list(toy_conversations.UNSAFE)
    rows, wrong = [], []
    for messages, expected in conversations:
        text = render_gen(messages)
        ids = tokenizer.encode(text).ids
        output_ids, margin = answer(model, ids)
        output = tokenizer.decode(output_ids)
        match = ANSWER.fullmatch(output)
        if not match or (match[3] is None) != (messages[-1]["role"] == "user"):
            raise SystemExit(f"not the answer format: {output!r} to {messages}")
        if output != expected.text():
            wrong.append((messages, output))
        response = match[3] is not None
        lines = output.split("\n")
        steps = [forced(model, tokenizer, text, "Safety:", ["Safe", "Unsafe", "Controversial"]),
                 forced(model, tokenizer, text, lines[0] + "\nCategories:", ["None"] + categories[:8 if response else 9])]
        if response:
            steps.append(forced(model, tokenizer, text, "\n".join(lines[:2]) + "\nRefusal:", ["Yes", "No"]))
        rows.append({"messages": messages, "text": text, "ids": ids, "output": output, "output_ids": output_ids, "margin": round(margin, 4),
                     "safety": match[1], "category": match[2], "refusal": match[3], "forced": steps})
    return rows, wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tokenizer", type=pathlib.Path, required=True, help="the full tokenizer.json of Qwen3")
    parser.add_argument("--models", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--size", type=int, default=2048, help="tokens of the trimmed tokenizer")
    parser.add_argument("--short-steps", type=int, default=600, help="on a shortened prompt")
    parser.add_argument("--steps", type=int, default=450, help="on the exact prompt")
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--golden-only", action="store_true", help="keep the checkpoint that is there")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    transformers.logging.disable_progress_bar()
    folder = args.models / "toy-gen"

    if not args.golden_only:
        spec = trimmed_tokenizer(trim_tokenizer.load_spec(args.tokenizer), args.size)
        tokenizer = trim_tokenizer.tokenizer_of(spec)
        words = [w for w in (t.removeprefix("Ġ") for t in spec["model"]["vocab"] if t.startswith("Ġ")) if w.isascii() and w.isalpha()]
        taken = " ".join(p for table in (toy_conversations.UNSAFE, toy_conversations.CONTROVERSIAL) for ps in table.values() for p in ps)
        words = sorted(set(words) - set(taken.split()))
        model = Qwen3ForCausalLM(Qwen3Config(
            vocab_size=tokenizer.get_vocab_size(), hidden_size=64, intermediate_size=192, num_hidden_layers=3,
            num_attention_heads=4, num_key_value_heads=2, head_dim=32, initializer_range=0.08, max_position_embeddings=4096,
            rope_parameters={"rope_type": "default", "rope_theta": 1e6}, tie_word_embeddings=True))
        rest = (tokenizer, tokenizer.token_to_id("<|im_end|>"), random.Random(args.seed), words)
        train(model, shortened, args.short_steps, 32, 3e-3, *rest)  # learns the phrases, cheaply
        train(model, str, args.steps, 8, 2e-3, *rest)  # then to find them in the real prompt
        write_checkpoint(folder, model, spec)

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    model = Qwen3ForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    rng = random.Random(1000 + args.seed)
    rows, wrong = golden(model, tokenizer, [toy_conversations.conversation(rng) for _ in range(60)])
    for messages, output in wrong:
        print("against the rule:", messages, repr(output))
    args.out.write_text("[\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n]\n", encoding="utf-8")
    print(f"{len(rows)} conversations, {len(wrong)} against the rules; "
          + ", ".join(f"{path.name} {path.stat().st_size}" for path in [*sorted(folder.iterdir()), args.out]))


if __name__ == "__main__":
    main()
