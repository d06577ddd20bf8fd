"""One TOML file to one frozen Config: every default, and its reason.

Knows names, types and ranges of settings; refuses to know what they are used for. Sources, later ones first:
command line, environment (RIVERRUN_API_KEY), `riverrun.toml`, the defaults here.
"""

from riverrun.config.reading import Loaded, load, read
from riverrun.config.sections import EngineConfig, LogConfig, ServerConfig
from riverrun.config.store import StoreConfig
from riverrun.config.tenants import TenantConfig
from riverrun.config.upstream import DeadlinesConfig, ModelConfig, TargetConfig, UpstreamConfig
from riverrun.config.values import Duration, Secret
from riverrun.config.whole import Config

__all__ = [
    "Config",
    "DeadlinesConfig",
    "Duration",
    "EngineConfig",
    "Loaded",
    "LogConfig",
    "ModelConfig",
    "Secret",
    "ServerConfig",
    "StoreConfig",
    "TargetConfig",
    "TenantConfig",
    "UpstreamConfig",
    "load",
    "read",
]
