"""docs/benchmarks.md and its charts, from the kept results. Knows words and tables; measures nothing."""
# ruff: noqa: RUF001  (signs of arithmetic are meant)

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.bounds import OURS, judged, scaled
from benchmarks.contenders import CONTENDERS
from benchmarks.measures import MEASURES
from benchmarks.plots import bars, lines, number_text
from benchmarks.samples import Results, Spread

DOCS = Path(__file__).parents[1] / "docs"
TITLES = {contender.name: contender.title for contender in CONTENDERS}
COSTS = [measure for measure in MEASURES if measure.name != "light"]
VERDICTS = {"missed": "**no**", "holds": "yes", "goal": "yes, and the goal"}

INTRODUCTION = """\
# What riverrun costs

<!-- Written by `benchmarks/run`; run it again instead of changing this file. -->

`benchmarks/run` puts riverrun, with everything on that is on by default (one worker, tapes in memory, ledger, metrics,
log), in front of a scripted upstream, beside nginx, HAProxy and other gateways in front of the same one. A figure is
the median of the repetitions, with the lowest and highest in parentheses; a ratio is taken within each repetition, and
its median is given. How it is measured stands at the [end](#how-it-is-measured).
"""
METHOD = """\
## How it is measured

- **Cost** is the processor time, user and system, of all processes of a contender, divided by what they carried in a
  window. It is the measure that holds best on a machine with neighbours: a wait costs nothing in it.
- Every contender has one core for itself (`taskset`); upstream and load client share another.
- In each repetition every measure is taken of everyone, one right after the other, in an order that changes.
- **Paced**: {small} or {large} open streams of 50 chunks a second, each chunk a segment of its own. **Burst**: 200
  chunks as fast as they are taken, the request included. **One-chunk stream**, **JSON request**: over kept
  connections, four at a time. riverrun asks its upstream for a stream also where it answers with JSON; nginx passes
  the upstream's JSON on.
- **Light load**: 50 new streams a second (LiteLLM 5) of 10 chunks each; what is *added* is the difference to no proxy.
- **Held**: found by bisection. A number of streams is held if none of their gaps is longer than twice the pace within
  the window; or, by the other rule, if the 99th of 100 chunks is under way for at most 20 ms. A probe that fails is
  tried once more.
- **Memory** is the proportional set size of all processes of a fresh contender. An idle stream has its first chunk and
  waits for the next. A kept answer is one of 100 chunks that has ended: riverrun keeps its events for resuming (30 KB
  of 100 chunks), others need nothing for it.
- **Workers** share one core, and each has the load of one. Their tapes are in files, and their ledger is one.
- Who can't carry a load on one core gets a smaller one: {smaller}.
- Upstream (`upstream.c`) and load client (`load.c`) are C programs of one thread each; what they cost stands in a
  table beside nginx.

```
{commands}
```
"""


def write(parts: Mapping[str, Results], docs: Path = DOCS) -> None:
    """The page and its charts."""
    for name, chart in _charts(parts):
        (docs / f"benchmarks-{name}.svg").write_text(chart, "utf-8")
    (docs / "benchmarks.md").write_text(text(parts), "utf-8")


def text(parts: Mapping[str, Results]) -> str:
    """The page."""
    sections = [INTRODUCTION, _bounds(parts)]
    sections += [section(parts[name]) for name, section in SECTIONS.items() if name in parts]
    return "\n".join([*sections, _method(parts)])


def _bounds(parts: Mapping[str, Results]) -> str:
    rows = [
        [
            bound.title,
            _shown(found, bound.unit),
            f"{'≥' if bound.least else '≤'} {bound.must:.4g} {bound.unit}".strip(),
            f"{bound.goal:.4g}" if bound.goal is not None else "",
            VERDICTS[bound.verdict(found.median)],
        ]
        for bound, found in judged(parts)
    ]
    return "## The bounds\n\n" + table(["figure", "measured", "must hold", "goal", "holds"], rows)


def _main(results: Results) -> str:
    costs = table(
        ["µs of processor time", *(TITLES[who] for who in _who(results))],
        [
            *([measure.title, *(_cell(results, measure.name, who) for who in _who(results))] for measure in COSTS),
            *(
                [f"{measure.title}, ÷ nginx", *(_ratio(results, measure.name, who) for who in _who(results))]
                for measure in COSTS
            ),
        ],
    )
    tools = table(
        ["the tools' own, beside nginx, µs", *(measure.title for measure in COSTS)],
        [
            [name, *(_shown(results.spread(measure.name, "nginx", name)) for measure in COSTS)]
            for name in ("cost", "upstream", "client")
        ],
    )
    return "\n".join(
        [
            "## riverrun and others\n",
            "![paced chunk](benchmarks-paced.svg)\n\n![JSON request](benchmarks-json.svg)\n",
            costs,
            tools,
            _times(results),
            _rest(results),
            _facts(results),
        ]
    )


def _times(results: Results) -> str:
    names = ("first-p50", "first-p99", "way-p50", "way-p99", "gap-p99")
    titles = ["first chunk p50", "p99", "chunk under way p50", "p99", "gap between chunks p99"]
    rows = []
    for who in ["direct", *_who(results)]:
        found = [results.spread("light", who, name) for name in names]
        added = [results.difference("light", who, "direct", name) for name in names[:4]]
        if found[0] is not None:
            rows.append([TITLES[who], *(_shown(scaled(each, 1e-3)) for each in [*added, found[4]])])
    return table(["added at a light load, ms", *titles], rows) + "\nThe gap is not a difference: 20 ms is the pace.\n"


def _rest(results: Results) -> str:
    rows = [
        [
            TITLES[who],
            _shown(results.spread("held-p99", who, "streams")),
            _shown(results.spread("held", who, "streams")),
            _shown(scaled(results.spread("memory", who, "rest"), 1e-6)),
            _shown(scaled(results.spread("memory", who, "stream"), 1e-3)),
            _shown(scaled(results.spread("memory", who, "kept"), 1e-3)),
        ]
        for who in ["direct", *_who(results)]
        if results.values("held", who, "streams") or results.values("memory", who, "rest")
    ]
    held = ["streams held, p99 ≤ 20 ms", "without a stall"]
    return table(["", *held, "MB at rest", "KB per idle stream", "KB per kept answer"], rows)


def _growth(results: Results) -> str:
    def rows(measure: str, title: str) -> str:
        counts = results.who(measure)
        return table([title, *counts], [["µs", *(_cell(results, measure, count) for count in counts)]])

    memory = [_shown(scaled(results.spread("names", who, "memory"), 1e-6)) for who in results.who("names")]
    return "\n".join(
        [
            "## What grows\n",
            "![growth](benchmarks-growth.svg)\n",
            "Chunks of open streams, a thousand a second in all:\n",
            rows("streams", "streams"),
            "Chunks of one answer as fast as it is taken, its request included:\n",
            rows("tokens", "tokens"),
            "A JSON request, with so many models, and so many tenants with a key each:\n",
            rows("names", "models and keys"),
            f"At rest these take {', '.join(memory)} MB.\n",
            _facts(results),
        ]
    )


def _compared(title: str) -> Callable[[Results], str]:
    def section(results: Results) -> str:
        measures = [measure for measure in COSTS if results.who(measure.name)]
        whos = results.who(measures[0].name)
        rows = [
            [
                who,
                *(
                    f"{_cell(results, measure.name, who)}, × {_bare(results.ratio(measure.name, who, whos[0], 'cost'))}"
                    for measure in measures
                ),
            ]
            for who in whos
        ]
        named = [measure.title for measure in measures]
        return f"## {title}\n\n" + table(["µs of processor time", *named], rows) + "\n" + _facts(results)

    return section


def _soak(results: Results) -> str:
    names = {"slope": "MiB / 10 min", "first": "MiB", "last": "MiB", "descriptors": "", "threads": "", "streams": ""}
    rows = [[name, _shown(results.spread("soak", OURS, name), unit)] for name, unit in names.items()]
    rows += [["requests", _shown(results.spread("soak", OURS, "requests"))]]
    said = "Descriptors, threads and running streams are the growth from the first calm moment to the last.\n"
    return "## Half an hour of mixed load with faults\n\n" + table(["", ""], rows) + f"\n{said}\n" + _facts(results)


def _instructions(results: Results) -> str:
    rows = [[measure, _shown(results.spread(measure, OURS, "instructions"))] for measure in INSTRUCTIONS]
    return "## Instructions\n\n" + table(["user instructions of one", "callgrind"], rows) + "\n" + _facts(results)


INSTRUCTIONS = ("burst chunk", "paced chunk", "JSON request")
SECTIONS: dict[str, Callable[[Results], str]] = {
    "main": _main,
    "dialects": _compared("Upstreams of other languages"),
    "n4": _compared("Several choices in one answer"),
    "tapes": _compared("Where tapes live"),
    "workers": _compared("Workers, all on one core"),
    "growth": _growth,
    "soak": _soak,
    "instructions": _instructions,
}


def _charts(parts: Mapping[str, Results]) -> Iterator[tuple[str, str]]:
    if results := parts.get("main"):
        for name, title in (("paced", "µs per paced chunk"), ("json", "µs per small JSON request")):
            found = [(TITLES[who], results.spread(name, who, "cost")) for who in _who(results)]
            yield name, bars(title, [(who, each) for who, each in found if each], TITLES[OURS])
    if results := parts.get("growth"):
        units = {"streams": "chunk, of open streams", "tokens": "chunk, of tokens in one", "names": "request, of names"}
        series = {
            units[measure]: [
                (float(count), each.median)
                for count in results.who(measure)
                if (each := results.spread(measure, count, "cost"))
            ]
            for measure in units
        }
        yield "growth", lines("µs per chunk or request, as things grow", series, "how many")


def _method(parts: Mapping[str, Results]) -> str:
    commands = "\n".join(dict.fromkeys(each.facts.get("command", "") for each in parts.values()))
    smaller = [
        f"{each.title} {min(50, each.streams)} streams" for each in CONTENDERS if each.streams < MEASURED_STREAMS
    ]
    return METHOD.format(small=50, large=200, smaller=", ".join(smaller), commands=commands)


MEASURED_STREAMS = 50


def _facts(results: Results) -> str:
    facts = [f"- {name}: {fact}" for name, fact in results.facts.items()]
    return "\n".join([*facts, *(f"- not measured: {who}: {why}" for who, why in results.missing.items()), ""])


def _who(results: Results) -> list[str]:
    """Who costs something, in the order of the table of contenders."""
    known = {sample.who for sample in results.samples} - {"direct"}
    return [contender.name for contender in CONTENDERS if contender.name in known]


def _cell(results: Results, measure: str, who: str) -> str:
    return _shown(results.spread(measure, who, "cost"))


def _ratio(results: Results, measure: str, who: str) -> str:
    return _bare(results.ratio(measure, who, "nginx", "cost"))


def _bare(found: Spread | None) -> str:
    return number_text(found.median) if found else "–"


def _shown(found: Spread | None, unit: str = "") -> str:
    if found is None:
        return "–"
    median = f"{number_text(found.median)} {unit}".strip()
    return f"{median} ({number_text(found.low)}–{number_text(found.high)})" if found.low != found.high else median


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """In Markdown; all columns but the first are figures."""
    marks = ["---", *["--:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, marks, *rows]) + "\n"
