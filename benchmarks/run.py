"""What riverrun costs beside nginx, HAProxy and the peers: the command.

Without a part it runs the main one. Results are kept in benchmarks/results, and docs/benchmarks.md is made of them.
Exit code 1 if a bound that must hold is missed, 2 if nothing could be measured.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table

from benchmarks import page, parts, rounds, samples
from benchmarks.bounds import judged
from benchmarks.contenders import CONTENDERS, Contender
from benchmarks.machine import facts, prepared
from benchmarks.measures import MEASURES
from benchmarks.plots import number_text
from benchmarks.samples import Results, Sample
from benchmarks.varieties import PARTS

PAGED = ("main", *PARTS, "soak", "instructions")


def main() -> int:
    options = _options()
    prepared()
    found: dict[str, Results] = {}
    for name in options.parts or ["main"]:
        missing: dict[str, str] = {}
        known = facts("benchmarks/run", _contenders(options) if name == "main" else ())
        results = Results(known, list(_measured(name, options, missing)), missing)
        if results.samples:
            found[name] = results
            _print(name, results)
    if not found:
        return 2
    if options.write:
        for name, results in found.items():
            samples.keep(name, results)
        rewrite_page()
    return _judge(found)


def rewrite_page() -> None:
    """docs/benchmarks.md, from the kept results of every part."""
    page.write({name: results for name in PAGED if (results := samples.kept(name)) is not None})


def _measured(name: str, options: argparse.Namespace, missing: dict[str, str]) -> Iterator[Sample]:
    if name != "main":
        return parts.measured(PARTS[name], options.repeat, options.seconds, missing)
    contenders = _contenders(options)
    names = [contender.name for contender in contenders]
    plan = rounds.Plan(
        contenders=contenders,
        measures=[measure for measure in MEASURES if not options.only or measure.name in options.only],
        repetitions=options.repeat,
        seconds=options.seconds,
        probe=options.probe,
        held=_asked("held", options, names) if not options.quick or options.only else (),
        memory=_asked("memory", options, [name for name in names if name != "direct"]),
    )
    return rounds.measured(plan, missing)


def _contenders(options: argparse.Namespace) -> list[Contender]:
    """All; those that were named; in a quick run, those that start quickly."""
    if options.of:
        return [contender for contender in CONTENDERS if contender.name in options.of]
    return [contender for contender in CONTENDERS if not (options.quick and contender.slow)]


def _asked(measure: str, options: argparse.Namespace, names: Sequence[str]) -> Sequence[str]:
    return names if not options.only or measure in options.only else ()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks/run", description=(__doc__ or "").partition("\n")[0])
    for name, part in PARTS.items():
        parser.add_argument(
            f"--{name}", action="append_const", dest="parts", const=name, help=f"the part: {part.title}"
        )
    parser.add_argument("--main", action="append_const", dest="parts", const="main", help="the main part")
    parser.add_argument("--only", nargs="+", metavar="MEASURE", help=f"{_names()}, held, memory; nothing is written")
    parser.add_argument("--of", nargs="+", metavar="NAME", help="contenders; nothing is written")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="short windows, once, without LiteLLM and the search for held streams; nothing is written",
    )
    parser.add_argument("--seconds", type=float, help="of a window (default: 2; quick: 0.7)")
    parser.add_argument("--repeat", type=int, help="repetitions (default: 3; quick: 1)")
    options = parser.parse_args()
    options.seconds = options.seconds or (0.7 if options.quick else 2.0)
    options.repeat = options.repeat or (1 if options.quick else 3)
    options.probe = 1.0 if options.quick else 1.5
    options.write = not (options.quick or options.only or options.of)
    return options


def _names() -> str:
    return ", ".join(measure.name for measure in MEASURES)


def _print(name: str, results: Results) -> None:
    table = Table("measure", "who", "figure", title=name)
    for head in ("median", "low", "high", "÷ first"):
        table.add_column(head, justify="right")
    for measure in dict.fromkeys(sample.measure for sample in results.samples):
        whos = results.who(measure)
        first = "nginx" if "nginx" in whos else whos[0]
        for who in whos:
            for figure in _figures(results, measure, who):
                spread = results.spread(measure, who, figure)
                ratio = results.ratio(measure, who, first, figure)
                assert spread is not None
                numbers = [number_text(each) for each in (spread.median, spread.low, spread.high)]
                table.add_row(measure, who, figure, *numbers, number_text(ratio.median) if ratio else "")
    Console(width=120).print(table)
    for who, why in results.missing.items():
        print(f"not measured: {who}: {why}")


def _figures(results: Results, measure: str, who: str) -> list[str]:
    """The ones worth a line on a terminal."""
    sample = next(each for each in results.samples if (each.measure, each.who) == (measure, who))
    if measure == "light":
        return [name for name in sample.figures if name.startswith(("first-p", "way-p"))]
    return ["cost"] if "cost" in sample.figures else list(sample.figures)


def _judge(found: dict[str, Results]) -> int:
    missed = 0
    for bound, value in judged(found):
        verdict = bound.verdict(value.median)
        missed += verdict == "missed"
        sign = "≥" if bound.least else "≤"
        print(f"{verdict:>6}  {bound.title}: {number_text(value.median)} {bound.unit} (must {sign} {bound.must:.4g})")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
