#!/usr/bin/env python3
"""read_once.py OXBOW FOLDER [--tokens N] - a text of N tokens (60,000) is read once: summarised in one
pass, then asked 20 questions, each in a process of its own.

Prints seconds and how many tokens each question read. The document's own must all come from the
saved state: a question that reads more than its own words (100 tokens) fails the run, exit 1.
Answers stay in FOLDER/answers.txt.
"""
import json
import os
import re
import subprocess
import sys
import time

import bar

MOST = 100
QUESTIONS = """What is a candle made of?
Who gave the lectures?
What is spermaceti?
Where do the products of a candle go?
What is produced when hydrogen burns?
What does the document say about whales?
Quote the sentence that mentions platinum.
What is carbonic acid?
How is a dip made?
What happens to a candle in a jar of oxygen?
Which metal burns on water?
What is the capillary attraction?
What does the document say about Japan?
Quote the sentence that mentions the Royal George.
What is ice lighter than?
What gas is in the air besides oxygen?
What is respiration compared with?
Who is Mr. Anderson?
What does the document say about railways?
Quote the most important sentence of the document.""".splitlines()


def main():
    oxbow, folder, text, home = bar.prepare(sys.argv[1:])
    run = bar.Run([oxbow, "summarize", text, "--parts", "1", "--temp", "0"], home,
                  os.path.join(folder, "summary.txt"))
    said = [line for _, line in run.bars()]
    run.wait()
    tokens = re.search(r"([\d,]+) tokens +one pass", "\n".join(said))
    print(f"summary in one pass of {tokens[1]} tokens: {run.wall:.0f} s, {run.cpu:.0f} s of processor time", flush=True)
    reads, walls = [], []
    with open(os.path.join(folder, "answers.txt"), "w") as out:
        for question in QUESTIONS:
            start = time.monotonic()
            done = subprocess.run([oxbow, "ask", "-f", text, "--temp", "0", "-n", "60", "--json", question],
                                  check=True, capture_output=True, env=bar.environment(home))
            walls.append(time.monotonic() - start)
            answer = json.loads(done.stdout)
            reads.append(answer["read"])
            out.write(f"{question}\n  {answer['answer']}\n  {answer['reused']} reused, {answer['read']} read\n")
    walls.sort()
    print(f"{len(reads)} questions: {min(reads)} to {max(reads)} tokens read; start to end "
          f"{walls[0]:.1f} to {walls[-1]:.1f} s, median {walls[len(walls) // 2]:.1f} s")
    sys.exit(0 if max(reads) <= MOST else 1)


if __name__ == "__main__":
    main()
