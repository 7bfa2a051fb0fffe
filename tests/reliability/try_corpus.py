"""scratch: run part of the corpus"""
import sys, time, collections
from corpus import all_cases
from sandbox import Sandbox
prefix = sys.argv[1] if len(sys.argv) > 1 else ""
slow = []
with Sandbox() as box:
    t0 = time.time(); bad = n = 0
    for case in all_cases():
        if prefix not in case.name: continue
        n += 1
        try:
            outcome, wrong = box.judge(case)
        except Exception as e:
            print("MAKE FAILED", case.name, repr(e)[:300]); bad += 1; continue
        slow.append((outcome.seconds, outcome.memory >> 20, case.name))
        if wrong:
            bad += 1
            print(f"\n### {case.name!a}: {wrong!a:.400}\n   {outcome.seconds:.1f}s {outcome.memory>>20} MiB exit {outcome.exit}\n   {outcome.output[-600 if len(sys.argv)<3 else -6000:]!a}")
    print(n, "cases", bad, "bad", time.time() - t0, "s")
    for row in sorted(slow)[-6:]: print(row)
    for row in sorted(slow, key=lambda r: r[1])[-4:]: print(row)
