"""`riverrun check`: is this endpoint, or this stream, what it says it is?"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from riverrun.cli.terminal import complain, err, out
from riverrun.conformance.capture import Capture, NotACapture, load, save
from riverrun.conformance.judge import chosen, failures, judge_all
from riverrun.conformance.probe import Endpoint, Unreachable, examine
from riverrun.conformance.report import REPORTS, as_text
from riverrun.conformance.rules import Finding
from riverrun.conformance.second import opinion

MUST_FAILED, NOT_JUDGED = 1, 2


def check(
    url: Annotated[str, typer.Argument(help="The endpoint, up to and with /v1.")] = "",
    model: Annotated[str, typer.Option("--model", "-m", help="The model to ask.")] = "",
    key: Annotated[str, typer.Option(help="The API key.", envvar="RIVERRUN_CHECK_KEY", show_envvar=True)] = "",
    only: Annotated[str, typer.Option(help="Rules or families, with commas: O,T2.")] = "",
    report: Annotated[str, typer.Option(help="text, json, junit or markdown.")] = "text",
    file: Annotated[
        Path | None, typer.Option(help="Judge a stream, a capture or a folder of captures instead.")
    ] = None,
    save_to: Annotated[Path | None, typer.Option("--save", help="Keep what was captured in this folder.")] = None,
    details: Annotated[bool, typer.Option(help="Show every rule, with its bytes or its reason.")] = False,
    header: Annotated[list[str] | None, typer.Option(help="A header to send, 'name: value'; may come again.")] = None,
    timeout: Annotated[float, typer.Option(help="Seconds that one exchange may take.")] = 120.0,
) -> int:
    """Judge a Chat Completions endpoint by every rule of the wire format."""
    refuse_nonsense(url, model, report, only, file)
    names = [name for name in only.split(",") if name.strip()]
    try:
        if file is not None:
            captures = opened(file)
            findings = judge_all(captures, names)
        else:
            endpoint = Endpoint(url=url, model=model, key=key, timeout=timeout, headers=headers(header or []))
            captures, findings = examined(endpoint, names)
    except (Unreachable, NotACapture, OSError) as error:
        complain(str(error))
        return NOT_JUDGED
    if save_to is not None:
        keep(captures, save_to)
    show(findings, report, details)
    if report == "text":
        second(captures)
    return MUST_FAILED if failures(findings, "must") else 0


def refuse_nonsense(url: str, model: str, report: str, only: str, file: Path | None) -> None:
    """Raises typer.BadParameter for a command that cannot be carried out."""
    if file is None and not url:
        raise typer.BadParameter("give an endpoint's URL, or a stream with --file")
    if file is not None and url:
        raise typer.BadParameter("give either a URL or --file, not both")
    if file is None and not model:
        raise typer.BadParameter("give the model to ask with --model NAME")
    if report not in REPORTS:
        raise typer.BadParameter(f"--report is one of {', '.join(REPORTS)}, not {report!r}")
    try:
        chosen(only.split(","))
    except ValueError as error:
        raise typer.BadParameter(f"--only: {error}") from error


def headers(given: list[str]) -> tuple[tuple[str, str], ...]:
    """Headers as they are sent. Raises typer.BadParameter for one without a colon."""
    for one in given:
        if ":" not in one:
            raise typer.BadParameter(f"--header is 'name: value', not {one!r}")
    return tuple((name.strip().lower(), value.strip()) for name, _, value in (one.partition(":") for one in given))


def opened(path: Path) -> list[Capture]:
    """The captures of a file or of a folder. Raises NotACapture and OSError."""
    if not path.is_dir():
        return [load(path)]
    found = sorted(path.glob("*.json"))
    if not found:
        raise NotACapture(f"{path}: the folder holds no capture; fill it with `riverrun check URL --save {path}`")
    return [load(one) for one in found]


def examined(endpoint: Endpoint, only: list[str]) -> tuple[list[Capture], list[Finding]]:
    """Play the exchanges while a line on stderr says which."""
    with err.status(f"checking {endpoint.url}") as line:

        def progress(done: int, of: int, name: str) -> None:
            line.update(f"{done} of {of}: {name}")

        return asyncio.run(examine(endpoint, only, progress))


def keep(captures: list[Capture], folder: Path) -> None:
    """Write each capture to a file of its own, in order, ready for --file."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, capture in enumerate(captures):
        save(capture, folder / f"{number:02}-{capture.exchange}.json")


def show(findings: list[Finding], report: str, details: bool) -> None:
    """Print the report; a table is as wide as the terminal."""
    if report == "text":
        typer.echo(as_text(findings, details, width=out.width, colour=out.is_terminal), nl=False)
    else:
        typer.echo(REPORTS[report](findings, details), nl=False)


def second(captures: list[Capture]) -> None:
    """Say what openai-python's own accumulator makes of the streams."""
    differs = opinion(captures)
    if differs is None:
        typer.echo("openai is not installed: its accumulator was not asked")
    for line in differs or ():
        typer.echo(f"openai-python folds differently: {line}")
