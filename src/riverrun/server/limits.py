"""What one connection may cost the host: every number with its reason. Knows no socket and no request."""

from __future__ import annotations

import msgspec

from riverrun.config import ServerConfig

KIB = 1024
MIB = 1024 * KIB


class HostLimits(msgspec.Struct, frozen=True):
    """Sizes in bytes, times in seconds, the rest counts.

    `head`         request line and headers together (SEC10); real clients send under 4 KiB
    `headers`      header lines; the SDKs send about 20
    `body`         the largest request body any route takes (SEC10); a route may accept less
    `head_time`    from accept, or from the first byte of a later request, to the end of its headers (SEC12)
    `body_time`    from the first byte of a request to the end of its body (SEC12)
    `keep_alive`   how long an idle connection stays: longer than the 60 s of load balancers, so that they close first
    `blocked`      how long a client may take nothing while data waits for it; the tape stays, so it can come back
    `linger`       how long we read on after a refusal, so that a client still sending sees the answer and no reset
    `buffer`       unsent bytes per connection above which its stream pauses: a second or so of fast tokens
    `pipelined`    requests waiting behind the one being answered; nobody needs more, and each costs memory
    `connections`  in all; the host lowers it to 80 % of its descriptors, the rest is for files and upstreams
    `per_address`  of one IPv4 address or IPv6 /64: browsers and SDK pools stay under 100
    `loopback_capped`  whether `per_address` holds for loopback too, where a proxy brings everyone's connections
    """

    head: int = 32 * KIB
    headers: int = 100
    body: int = 8 * MIB
    head_time: float = 10.0
    body_time: float = 30.0
    keep_alive: float = 75.0
    blocked: float = 30.0
    linger: float = 2.0
    buffer: int = 64 * KIB
    pipelined: int = 16
    connections: int = 20_000
    per_address: int = 256
    loopback_capped: bool = False


def limits_of(server: ServerConfig) -> HostLimits:
    """As the operator says. Workers share `connections`; `per_address` each one counts for itself."""
    usual = HostLimits()
    return HostLimits(
        body=server.body_limit,
        head_time=server.header_seconds,
        body_time=server.body_seconds,
        blocked=server.blocked_seconds,
        connections=-(-server.connections // server.workers) if server.connections else usual.connections,
        per_address=server.connections_per_address,
    )
