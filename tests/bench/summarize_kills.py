#!/usr/bin/env python3
"""summarize_kills.py OXBOW FOLDER [--tokens N] [-- FLAGS..] - a text of N tokens (400,000) summarised
in parts at temperature 0: once straight through, once killed with -9 in every part and merge.

Both summaries must be the same bytes. Prints parts, seconds and the tokens that were read again.
FOLDER keeps all of it (about 2 GB of saved states a run); the same command goes on after an
interruption: a run straight through begins again, the killed one continues. FLAGS go to the killed
run only, so `-- --threads 1` also shows that the thread count does not matter. Exit 1: they differ.
"""
import json
import os
import re
import shutil
import subprocess
import sys

import bar

BAR = re.compile(r"(part|merge) (\d+) of (\d+) .*?(\d+)%")


def plan(oxbow, text, folder):
    out = subprocess.run([oxbow, "summarize", text, "--temp", "0", "--dry-run", "--json", "--no-save"],
                         check=True, capture_output=True, env=bar.environment(os.path.join(folder, "none")))
    return json.loads(out.stdout)


def straight(oxbow, text, folder):
    """The summary without interruption and what it took."""
    home, out = os.path.join(folder, "straight"), os.path.join(folder, "straight.txt")
    done = out + ".json"
    if not os.path.exists(done):
        shutil.rmtree(home, ignore_errors=True)
        run = bar.Run([oxbow, "summarize", text, "--temp", "0"], home, out)
        for _ in run.bars():
            pass
        run.wait()
        with open(done, "w") as f:
            json.dump({"wall": run.wall, "cpu": run.cpu}, f)
        shutil.rmtree(home)
    return open(out, "rb").read(), json.load(open(done))


def percent_to_die_at(step):
    """From the first progress to the middle of the answer (100), in no order."""
    return (37 * step + 11) % 101


def add_time(state, run):
    state["wall"] += run.wall
    state["cpu"] += run.cpu


def killed(oxbow, text, folder, p, flags):
    home, out, state_path = (os.path.join(folder, n) for n in ("killed", "killed.txt", "killed.json"))
    state = {"kills": 0, "again": 0, "wall": 0.0, "cpu": 0.0, "percent": 0}
    if os.path.exists(state_path):
        state = json.load(open(state_path))
    else:
        shutil.rmtree(home, ignore_errors=True)
    n_steps = p["parts"] + p["merges"]
    part_tokens = p["tokens"] / p["parts"]
    while True:
        run = bar.Run([oxbow, "summarize", text, "--temp", "0"] + flags, home, out)
        first = True
        for _, line in run.bars():
            m = BAR.match(line)
            if not m:
                continue
            step = int(m[2]) + (p["parts"] if m[1] == "merge" else 0)
            percent = int(m[4])
            if step == state["kills"] and first and m[1] == "part":  # back in what was killed
                state["again"] += max(0, state["percent"] - percent) / 100 * part_tokens
                print(f"  back at {percent} %", flush=True)
            first = False
            if step == state["kills"] + 1 and percent >= percent_to_die_at(step):
                run.kill()
                add_time(state, run)
                state.update(kills=step, percent=percent)
                with open(state_path, "w") as f:
                    json.dump(state, f)
                print(f"  killed in {m[1]} {m[2]} of {m[3]} at {percent} % after {run.wall:.1f} s", flush=True)
                break
        else:
            run.wait()
            add_time(state, run)
            if state["kills"] < n_steps:
                sys.exit(f"killed {state['kills']} times only, {n_steps} were meant")
            return open(out, "rb").read(), state


def main():
    words = sys.argv[1:]
    flags = words[words.index("--") + 1:] if "--" in words else []
    words = words[:words.index("--")] if "--" in words else words
    n_tokens = int(words[words.index("--tokens") + 1]) if "--tokens" in words else 400000
    oxbow, folder = os.path.abspath(words[0]), os.path.abspath(words[1])
    os.makedirs(folder, exist_ok=True)
    text = os.path.join(folder, "text.txt")
    if not os.path.exists(text):
        bar.make_text(text, int(n_tokens * bar.BYTES_A_TOKEN))
    p = plan(oxbow, text, folder)
    print(f"{p['tokens']:,} tokens, {p['parts']} parts, {p['merges']} merges", flush=True)
    whole, took = straight(oxbow, text, folder)
    print(f"straight through: {took['wall']:.0f} s, {took['cpu']:.0f} s of processor time", flush=True)
    again, state = killed(oxbow, text, folder, p, flags)
    print(f"killed {state['kills']} times: {state['wall']:.0f} s, {state['cpu']:.0f} s of processor time, about "
          f"{state['again']:,.0f} tokens ({state['again'] / p['tokens']:.1%}) read again")
    print("the same summary" if whole == again and whole else "NOT THE SAME SUMMARY")
    sys.exit(0 if whole == again and whole else 1)


if __name__ == "__main__":
    main()
