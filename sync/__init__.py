"""sync: nodes that replicate a graph to each other, and the socket that controls one.

Names are loaded at their first use: a command that only asks a node through its socket needs no event loop, and
importing one takes longer than most answers.
"""

import importlib
import typing

if typing.TYPE_CHECKING:
    from sync.asyncclient import ControlClient
    from sync.branches import RemoteBranch
    from sync.client import BlockingControlClient
    from sync.control import open_control
    from sync.daemon import serve
    from sync.limits import Settings
    from sync.node import Node
    from sync.requests import LocalCaller
    from sync.status import AlarmStatus, NodeStatus, PeerStatus
    from sync.transport import Address, TcpTransport, Transport

__all__ = [
    "Address",
    "AlarmStatus",
    "BlockingControlClient",
    "ControlClient",
    "LocalCaller",
    "Node",
    "NodeStatus",
    "PeerStatus",
    "RemoteBranch",
    "Settings",
    "TcpTransport",
    "Transport",
    "open_control",
    "serve",
]

_HOMES = {
    "Address": "transport",
    "AlarmStatus": "status",
    "BlockingControlClient": "client",
    "ControlClient": "asyncclient",
    "LocalCaller": "requests",
    "Node": "node",
    "NodeStatus": "status",
    "PeerStatus": "status",
    "RemoteBranch": "branches",
    "Settings": "limits",
    "TcpTransport": "transport",
    "Transport": "transport",
    "open_control": "control",
    "serve": "daemon",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
