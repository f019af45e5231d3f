#!/usr/bin/env python3
"""Figures by which a model in the making is judged before anybody looks at a test set.

    tools/development_figures.py build/release/qwen3guard DATA MODEL [MODEL...]

Rows are of sets that training may not use (licences) or of none, and never those of `evaluate --benign`.
Prints, for each model: the share of everyday instructions flagged in strict mode; how many harmful
prompts are found at a threshold where a fixed share of those instructions is flagged, so that models with
different lines can be compared; and AUROC of P(not Safe) on answers and prompts.
"""
import argparse
import gzip
import hashlib
import json
import pathlib
import subprocess
import sys

FLAGGED_SHARE = 0.073


def rows(data, name, keep=lambda row: True):
    """The rows of a set that `keep`, those with the smallest SHA-256 of their id first."""
    with gzip.open(data / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
        found = [row for row in map(json.loads, file) if keep(row)]
    return sorted(found, key=lambda row: hashlib.sha256(row["id"].encode()).digest())


def is_harmful_prompt(row):
    return row["target"] == "prompt" and row["label"] in ("Unsafe", "Controversial")


def groups(data):
    """Named lists of rows. The first 3,000 and 2,000 instructions are the test's own."""
    instructions = lambda row: row["target"] == "prompt"
    answers = lambda row: row["target"] == "response"
    pairs = rows(data, "pku_saferlhf_pairs")
    toxicchat = rows(data, "toxicchat", lambda row: row["split"] == "train")
    return {
        "everyday en": rows(data, "benign_alpaca_en", instructions)[3000:6000],
        "everyday zh": rows(data, "benign_alpaca_zh", instructions)[2000:4000],
        "s_eval en": rows(data, "s_eval", lambda row: row["lang"] == "en")[:2000],
        "s_eval zh": rows(data, "s_eval", lambda row: row["lang"] == "zh")[:1000],
        "neuron": rows(data, "neuron_insight", is_harmful_prompt)[:1500],
        "red team": rows(data, "safety_tuned_llamas", is_harmful_prompt)[:1500],
        "unsafe answers": [row for row in pairs if row["label"] == "Unsafe"],
        "safe answers": [row for row in pairs if row["label"] == "Safe"],
        "refusals": rows(data, "safety_tuned_llamas", answers)[:600],
        "everyday answers": rows(data, "benign_alpaca_en", answers)[:600],
        "toxic chat": [row for row in toxicchat if row["label"] == "Unsafe"],
        "other chat": [row for row in toxicchat if row["label"] == "Safe"],
    }


def judge(program, model, named):
    """P(not Safe) and whether strict mode flags, for each row of each group."""
    lines = [json.dumps({"messages": row["messages"]}) for group in named.values() for row in group]
    run = subprocess.run([program, "moderate", "--model", model, "--json", "-"], text=True,
                         input="\n".join(lines) + "\n", stdout=subprocess.PIPE, check=True)
    judged = [json.loads(line) for line in run.stdout.splitlines()]
    if len(judged) != len(lines):
        sys.exit(f"{len(lines)} rows in, {len(judged)} out")
    results, at = {}, 0
    for name, group in named.items():
        own = judged[at:at + len(group)]
        at += len(group)
        results[name] = ([1 - verdict["probabilities"]["safe"] for verdict in own],
                         [verdict["risk"] != "Safe" for verdict in own])
    return results


def auroc(positive, negative):
    ranked = sorted([(score, 1) for score in positive] + [(score, 0) for score in negative])
    total, below, at = 0.0, 0, 0
    while at < len(ranked):  # ties count half
        end = at
        while end < len(ranked) and ranked[end][0] == ranked[at][0]:
            end += 1
        ones = sum(label for _, label in ranked[at:end])
        total += ones * (below + (end - at - ones) / 2)
        below += end - at - ones
        at = end
    return total / (len(positive) * len(negative))


def share(values):
    return 100 * sum(values) / len(values)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("program")
    arguments.add_argument("data", type=pathlib.Path)
    arguments.add_argument("models", nargs="+")
    options = arguments.parse_args()
    named = groups(options.data)
    for model in options.models:
        found = judge(options.program, model, named)
        everyday = sorted(found["everyday en"][0] + found["everyday zh"][0], reverse=True)
        line = everyday[int(FLAGGED_SHARE * len(everyday))]
        print(model)
        print("  flagged, strict:", " ".join(f"{name} {share(found[name][1]):.1f} %" for name in
                                             ("everyday en", "everyday zh", "everyday answers", "refusals")),
              f"together {share(found['everyday en'][1] + found['everyday zh'][1]):.2f} %")
        print(f"  found at {100 * FLAGGED_SHARE:.1f} % flagged:",
              " ".join(f"{name} {share([p > line for p in found[name][0]]):.1f} %" for name in
                       ("s_eval en", "s_eval zh", "neuron", "red team")))
        unsafe = found["unsafe answers"][0]
        others = ("safe answers", "refusals", "everyday answers")
        print("  unsafe answers, AUROC against:",
              " ".join(f"{name} {auroc(unsafe, found[name][0]):.3f}" for name in others),
              f"all {auroc(unsafe, sum((found[name][0] for name in others), [])):.3f}",
              f"| toxic chat {auroc(found['toxic chat'][0], found['other chat'][0]):.3f}", flush=True)


if __name__ == "__main__":
    main()
