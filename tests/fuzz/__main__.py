"""`make fuzz`: malformed inputs over all ports, and what came of them. `make fuzz SEED=1 INPUTS=50000 PORT=lines` runs a part of it.

`python -m tests.fuzz --port lines --first 1234 --inputs 1` feeds one input again.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from hashlib import blake2b
from time import monotonic

from tests.fuzz.harness import Outcome, Port, run_port
from tests.fuzz.ports import PORTS

SHOWN_WORDS = 4


def shares(ports: Sequence[Port], inputs: int) -> list[tuple[Port, int]]:
    """How many of the inputs each port gets, at least one; together not less than `inputs`."""
    whole = sum(port.share for port in ports)
    return [(port, max(1, -(-int(inputs * port.share * 1000) // int(whole * 1000)))) for port in ports]


def main(arguments: Sequence[str] | None = None) -> int:
    """Feed the inputs; returns 1 where an input was not survived."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--inputs", type=int, default=1_000_000, help="inputs in all")
    parser.add_argument("--port", action="append", choices=sorted(PORTS), help="only this port; may be given several times")
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes; what comes of an input does not depend on it")
    parser.add_argument("--traces", action="store_true", help="show where each failure came from")
    options = parser.parse_args(arguments)
    ports = [PORTS[name] for name in options.port or PORTS]
    began = monotonic()
    print(f"{'port':<12} {'inputs':>9} {'failed':>7} {'cpu s':>8} {'a second':>9} {'slowest ms':>11}  what came of them")
    outcomes: list[Outcome] = []
    work = [(port.name, count) for port, count in shares(ports, options.inputs)]
    with ProcessPoolExecutor(max_workers=max(1, min(options.jobs, len(work)))) as pool:
        for outcome in pool.map(_part, [(name, count, options.seed, options.first) for name, count in work]):
            outcomes.append(outcome)
            _print(outcome, options.seed, traces=options.traces)
    return _summary(outcomes, monotonic() - began)


def _part(work: tuple[str, int, int, int]) -> Outcome:
    name, count, seed, first = work
    return run_port(PORTS[name], seed=seed, inputs=count, first=first)


def _print(outcome: Outcome, seed: int, *, traces: bool) -> None:
    words = ", ".join(f"{word} {count:,}" for word, count in outcome.words.most_common(SHOWN_WORDS))
    rate = outcome.inputs / outcome.seconds if outcome.seconds else 0
    print(
        f"{outcome.port:<12} {outcome.inputs:>9,} {outcome.failed:>7,} {outcome.seconds:>8.1f} {rate:>9,.0f} "
        f"{outcome.slowest_seconds * 1000:>11.1f}  {words}", flush=True,
    )
    for failure in outcome.failures.values():
        print(f"  {failure.times} x {failure.error!a} in {failure.where}")
        print(f"    again: python -m tests.fuzz --seed {seed} --port {outcome.port} --first {failure.index} --inputs 1 --traces")
        if traces:
            print("    " + failure.trace.replace("\n", "\n    ").encode("ascii", "backslashreplace").decode())


def _summary(outcomes: Sequence[Outcome], seconds: float) -> int:
    digest = blake2b(digest_size=16)
    for outcome in outcomes:
        digest.update(f"{outcome.port} {outcome.digest}\n".encode())
    inputs, failed = sum(outcome.inputs for outcome in outcomes), sum(outcome.failed for outcome in outcomes)
    print()
    print(f"inputs     {inputs:,} over {len(outcomes)} ports")
    print(f"failed     {failed:,}")
    print(f"seconds    {seconds:.1f} ({inputs / seconds:,.0f} inputs a second)")
    print(f"digest     {digest.hexdigest()}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
