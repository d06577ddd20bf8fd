"""Why a rule cannot be judged on a capture: one function a reason; an empty string means that it can."""

from __future__ import annotations

from riverrun.conformance.reading import Reading, mapping
from riverrun.conformance.rules import Needs


def stream(reading: Reading) -> str:
    """The answer is an event stream."""
    if reading.is_stream:
        return ""
    if not reading.streamed:
        return "no stream was asked for"
    return f"no stream came (status {reading.capture.status})"


def headers(reading: Reading) -> str:
    """The capture has headers."""
    return "" if reading.capture.headers else "the capture has no headers"


def stream_asked(reading: Reading) -> str:
    """A stream was asked for and the answer is 200."""
    if not reading.streamed:
        return "no stream was asked for"
    return "" if reading.capture.status == 200 else f"the status is {reading.capture.status}"


def chunks(reading: Reading) -> str:
    """At least one chunk came."""
    return "" if reading.chunks else "no chunk came"


def choices(reading: Reading) -> str:
    """At least one choice came."""
    return "" if reading.steps else "no choice came"


def ended(reading: Reading) -> str:
    """The body ended by itself, or said that it did."""
    return "" if reading.over or reading.dones else f"the stream did not end by itself ({reading.capture.ended})"


def healthy(reading: Reading) -> str:
    """The stream ended by itself, all choices finished and no error came: its tail can be judged."""
    if reason := ended(reading):
        return reason
    return "the stream ended with an error" if reading.errors else ""


def done(reading: Reading) -> str:
    """The stream said [DONE]."""
    return "" if reading.dones else "no [DONE] came"


def calls(reading: Reading) -> str:
    """A tool call was streamed."""
    return "" if reading.fragments else "no tool call came"


def several(reading: Reading) -> str:
    """More than one choice was asked for."""
    return "" if reading.n > 1 else "one choice was asked for"


def logprobs(reading: Reading) -> str:
    """Logprobs were asked for, or came."""
    if reading.known:
        return "" if reading.asked.get("logprobs") is True else "no logprobs were asked for"
    came = any(mapping(step.choice.get("logprobs")) for step in reading.steps)
    return "" if came else "no logprobs came"


def request(reading: Reading) -> str:
    """The request is known."""
    return "" if reading.known else "the request is not known"


def usage_asked(reading: Reading) -> str:
    """Usage was asked for."""
    return "" if reading.include_usage else "usage was not asked for"


def error_event(reading: Reading) -> str:
    """An error came inside the stream."""
    return "" if reading.errors else "no error came inside the stream"


def bare_of_audio(reading: Reading) -> str:
    """No audio: its choices have a grammar of their own."""
    return "it is an audio stream" if any("audio" in step.delta for step in reading.steps) else ""


def exchange(*names: str) -> Needs:
    """The capture is one of these exchanges."""

    def played(reading: Reading) -> str:
        return "" if reading.capture.exchange in names else f"the exchange {' or '.join(names)} was not played"

    return played


def failed(reading: Reading) -> str:
    """The answer is an HTTP error."""
    return "" if reading.capture.status >= 400 else "no HTTP error came"


def has_content_type(reading: Reading) -> str:
    """The answer names its type."""
    return "" if reading.capture.header("content-type") else "the answer has no content-type"
