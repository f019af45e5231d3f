#!/usr/bin/env python3
"""Share of verdicts that quantized weights leave as they are.

    bench/agreement.py build/release/qwen3guard conversations.jsonl [--model DIR]

Judges the file with weights stored, q8 and q4 and counts the lines whose risk is the same.
"""
import argparse
import json
import subprocess
import tempfile


def judge(options, weights):
    with tempfile.TemporaryDirectory() as folder:
        output = folder + "/verdicts.jsonl"
        command = [options.program, "moderate", options.file, "--weights", weights, "--output", output]
        if options.model:
            command += ["--model", options.model]
        subprocess.run(command, check=False)  # status 1: some lines could not be judged
        return [json.loads(line) for line in open(output)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("file")
    parser.add_argument("--model")
    options = parser.parse_args()
    stored = judge(options, "stored")
    for weights in ("q8", "q4"):
        verdicts = judge(options, weights)
        assert len(verdicts) == len(stored)
        judged = [(a, b) for a, b in zip(stored, verdicts) if "risk" in a and "risk" in b]
        same = sum(a["risk"] == b["risk"] for a, b in judged)
        decisions = sum(a["decision"] == b["decision"] for a, b in judged)
        off = max(abs(a["probabilities"]["safe"] - b["probabilities"]["safe"]) for a, b in judged)
        print(f"{weights}: {len(judged)} of {len(stored)} judged, same risk {100 * same / len(judged):.3f} %, "
              f"same decision {100 * decisions / len(judged):.3f} %, P(Safe) off by at most {off:.3f}")


if __name__ == "__main__":
    main()
