#!/usr/bin/env python3
"""eta_error.py OXBOW FOLDER [--tokens N] - is the time that the reading bar promises true?

`oxbow ask -f` reads N tokens (60,000) on a pseudo-terminal; what each bar said is compared with the
time that was left indeed. Prints mean and largest error by tenths of the way and, from 3 s on, the
share within 20 % (docs/PRODUCT.md, feature 6). What is true does not hang on a quiet machine, but
other programs that come and go are errors nobody can foresee. Estimates under 2 s are not judged:
they are shown in whole tenths and end with the first token of the answer.
"""
import os
import re
import sys

import bar

BAR = re.compile(r"reading .*about (.*) left +([\d,]+) of ([\d,]+) tokens")


def main():
    oxbow, folder, text, home = bar.prepare(sys.argv[1:])
    run = bar.Run([oxbow, "ask", "-f", text, "-n", "1", "--no-save", "Who speaks here?"], home,
                  os.path.join(folder, "answer.txt"))
    said, last = [], 0.0
    for now, line in run.bars():
        if line.startswith("reading "):
            last = now  # the last bars promise nothing any more
        m = BAR.match(line)
        if m:
            said.append((now, int(m[2].replace(",", "")), int(m[3].replace(",", "")), bar.seconds(m[1])))
    run.wait()
    with open(os.path.join(folder, "said.tsv"), "w") as f:
        f.writelines(f"{now:.2f}\t{done}\t{left:.1f}\t{last - now:.2f}\n" for now, done, _, left in said)
    start, total = said[0][0], said[0][2]
    judged = [(done, left, last - now) for now, done, _, left in said
              if now - start >= 3 and last - now >= 2]
    print(f"{total:,} tokens in {last:.0f} s, {run.cpu:.0f} s of processor time; {len(judged)} estimates from 3 s on")
    for tenth in range(10):
        row = [abs(left - true) / true for done, left, true in judged if done * 10 // total == tenth]
        if row:
            print(f"  {tenth * 10:3} % read: mean error {sum(row) / len(row):5.1%}, largest {max(row):5.1%}")
    good = sum(abs(left - true) <= 0.2 * true for _, left, true in judged)
    print(f"within 20 %: {good / len(judged):.1%}" if judged else "read too fast to judge; give more --tokens")


if __name__ == "__main__":
    main()
