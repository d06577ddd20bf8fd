"""The upstreams that a configuration and the environment's keys give: each its row, with what the operator changes.

An upstream need not be configured: every row that knows its address and finds its key in the environment is one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import msgspec

from riverrun.config import UpstreamConfig
from riverrun.config.nearest import nearest
from riverrun.dialects.rows import ROWS, Row, derived
from riverrun.dialects.windows import window
from riverrun.routing.deadlines import HOSTED, THINKING, given
from riverrun.routing.target import Target

ROW_FIELDS = frozenset(Row.__struct_fields__) - {"dialect", "base_url", "prefill"}
REMEMBERED = 1024
"""Targets that an upstream remembers; callers choose the names where a model's name is a pattern."""

KEYLESS = ("none", "sigv4", "google")
"""Ways to sign that need no key of ours: what signs finds its own credentials."""


class Upstream(msgspec.Struct, frozen=True):
    """One place that answers: `target` is its Source. `row_name` names `row` in the dialects' table.

    `provider` is the row's name before the operator's changes where this is its own address, so that a model's name
    means what it means there; "" for anybody else's.
    `variable`: the environment variable that holds its key (None: it was given another way, or there is none).
    `targets` are those that were asked for, by model and `thinks`.
    """

    name: str
    row_name: str
    provider: str
    row: Row
    base_url: str
    key: str | None
    variable: str | None
    settings: UpstreamConfig
    targets: dict[tuple[str, bool | None], Target] = msgspec.field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Upstream({self.name!r}, row={self.row_name!r}, base_url={self.base_url!r})"

    def target(self, model: str, thinks: bool | None = None) -> Target:
        """The model that this upstream knows by that name. `thinks`: whether that one does, whatever it says itself."""
        known = self.targets.get((model, thinks))
        if known is None:
            if len(self.targets) >= REMEMBERED:
                self.targets.clear()
            known = self.targets[model, thinks] = self._target(model, thinks)
        return known

    def _target(self, model: str, thinks: bool | None) -> Target:
        row, settings = self.row, self.settings
        thinks = settings.thinks if thinks is None else thinks
        thinking = given(THINKING, settings.deadlines)
        return Target(
            name=f"{self.name}/{model}",
            model=model,
            base_url=self.base_url,
            row=self.row_name,
            dialect=row.dialect,
            key=self.key,
            auth=row.auth,
            deadlines=thinking if thinks else given(HOSTED, settings.deadlines),
            thinking=thinking,
            tools=settings.tools or "native",
            context=settings.context or window(self.provider, model),
            n=row.n,
            draw_seed=row.draw_seed,
            deterministic=row.deterministic,
            prefill=row.prefill_of(model) != "none",
            prefill_structured=row.prefill_structured,
            echoes_prefill=row.echoes_prefill,
            resumes=row.resumes,
        )


def upstream(
    name: str, settings: UpstreamConfig, environ: Mapping[str, str], rows: Mapping[str, Row] = ROWS
) -> Upstream:
    """The upstream of this name. Raises ValueError, whose text says which setting is wrong and what to do."""
    row_name = _row_name(name, settings, rows)
    row = rows[row_name]
    try:
        changed = _changed(row, settings)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None
    base_url = settings.base_url or row.base_url
    if base_url is None:
        raise ValueError(f"base_url is missing: nobody but you knows where an upstream like {row_name!r} is")
    key, variable = _key(settings, changed, environ)
    if key is None and settings.base_url is None and changed.env and changed.auth not in KEYLESS:
        raise ValueError(f"key is missing: set {' or '.join(changed.env)} in the environment, or `key` here")
    provider = row_name if row.base_url in (None, base_url) else ""
    if changed != row:
        row_name = f"{row_name}+{hashlib.sha256(msgspec.json.encode(changed, order='sorted')).hexdigest()[:12]}"
    return Upstream(name, row_name, provider, changed, base_url, key, variable, settings)


def found(environ: Mapping[str, str], rows: Mapping[str, Row] = ROWS) -> tuple[str, ...]:
    """The rows that need nothing but a key, and whose key is in the environment."""
    return tuple(
        name for name, row in rows.items() if row.base_url is not None and any(environ.get(each) for each in row.env)
    )


def _row_name(name: str, settings: UpstreamConfig, rows: Mapping[str, Row]) -> str:
    if settings.like is not None and settings.like not in rows:
        raise ValueError(f"like: {settings.like!r} is no row that riverrun has; {nearest(settings.like, rows)}")
    languages = {row.dialect for row in rows.values()}
    if settings.dialect is not None and settings.dialect not in languages:
        raise ValueError(f"dialect: {settings.dialect!r} is not spoken; {nearest(settings.dialect, languages)}")
    own = name if name in rows and settings.dialect in (None, rows[name].dialect) else None
    spoken = settings.dialect if settings.dialect not in (None, "openai") else "compatible"
    chosen = settings.like or own or spoken
    assert chosen is not None
    if settings.dialect not in (None, rows[chosen].dialect):
        raise ValueError(f"dialect: an upstream like {chosen!r} speaks {rows[chosen].dialect!r}; leave it out")
    return chosen


def _changed(row: Row, settings: UpstreamConfig) -> Row:
    """The row with the operator's words. His patterns for `prefill` come before the row's own."""
    changes: dict[str, object] = {
        name: value
        for name, value in msgspec.structs.asdict(settings).items()
        if name in ROW_FIELDS and value is not None
    }
    wanted = {"*": settings.prefill} if isinstance(settings.prefill, str) else settings.prefill or {}
    patterns = {**wanted, **{pattern: way for pattern, way in row.prefill.items() if pattern not in wanted}}
    return derived(msgspec.structs.replace(row, prefill={}), {**changes, "prefill": patterns})


def _key(settings: UpstreamConfig, row: Row, environ: Mapping[str, str]) -> tuple[str | None, str | None]:
    """The operator's own, or the environment's; a provider's key from there goes to no other address than its own."""
    if settings.key is not None:
        return settings.key.reveal(), None
    elsewhere = settings.base_url is not None and row.base_url not in (None, settings.base_url)
    variable = next((name for name in row.env if environ.get(name) and not elsewhere), None)
    return (environ[variable], variable) if variable is not None else (None, None)
