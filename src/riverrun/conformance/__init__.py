"""Is this endpoint what it says it is? The judge of Chat Completions streams, riverrun's own included."""

from __future__ import annotations

from riverrun.conformance.capture import Capture, load, save
from riverrun.conformance.judge import failures, judge, judge_all
from riverrun.conformance.rules import Fault, Finding, Rule

__all__ = ["Capture", "Fault", "Finding", "Rule", "failures", "judge", "judge_all", "load", "save"]
