"""sync: nodes that replicate a graph to each other, and the socket that controls one.

Names are loaded at their first use: a command that only asks a node through its socket needs no event loop, and
importing one takes longer than most answers.
"""

import typing

from crdtgraph import lazy

if typing.TYPE_CHECKING:
    from sync.asyncbranches import AsyncRemoteBranch
    from sync.asyncclient import ControlClient
    from sync.asyncremote import AsyncRemotePlane, AsyncRemoteSearch, async_remote_ledger, async_remote_search
    from sync.asyncworker import run_worker
    from sync.branches import RemoteBranch
    from sync.client import BlockingControlClient
    from sync.control import open_control, open_workers_port
    from sync.daemon import serve
    from sync.desks import Desks
    from sync.limits import Settings
    from sync.node import Node
    from sync.remote import RemotePlane, RemoteSearch, remote_ledger, remote_search
    from sync.requests import LocalCaller
    from sync.status import AlarmStatus, NodeStatus, PeerStatus
    from sync.threads import search_with_threads
    from sync.transport import Address, TcpTransport, Transport
    from sync.worker import Worker
    from sync.workers import Workers, async_search_with_workers, search_with_workers

__all__ = [
    "Address",
    "AlarmStatus",
    "AsyncRemoteBranch",
    "AsyncRemotePlane",
    "AsyncRemoteSearch",
    "BlockingControlClient",
    "ControlClient",
    "Desks",
    "LocalCaller",
    "Node",
    "NodeStatus",
    "PeerStatus",
    "RemoteBranch",
    "RemotePlane",
    "RemoteSearch",
    "Settings",
    "TcpTransport",
    "Transport",
    "Worker",
    "Workers",
    "async_remote_ledger",
    "async_remote_search",
    "async_search_with_workers",
    "open_control",
    "open_workers_port",
    "remote_ledger",
    "remote_search",
    "run_worker",
    "search_with_threads",
    "search_with_workers",
    "serve",
]

_HOMES = {
    "Address": "transport",
    "AlarmStatus": "status",
    "AsyncRemoteBranch": "asyncbranches",
    "AsyncRemotePlane": "asyncremote",
    "AsyncRemoteSearch": "asyncremote",
    "BlockingControlClient": "client",
    "ControlClient": "asyncclient",
    "Desks": "desks",
    "LocalCaller": "requests",
    "Node": "node",
    "NodeStatus": "status",
    "PeerStatus": "status",
    "RemoteBranch": "branches",
    "RemotePlane": "remote",
    "RemoteSearch": "remote",
    "Settings": "limits",
    "TcpTransport": "transport",
    "Transport": "transport",
    "Worker": "worker",
    "Workers": "workers",
    "async_remote_ledger": "asyncremote",
    "async_remote_search": "asyncremote",
    "async_search_with_workers": "workers",
    "open_control": "control",
    "open_workers_port": "control",
    "remote_ledger": "remote",
    "remote_search": "remote",
    "run_worker": "asyncworker",
    "search_with_threads": "threads",
    "search_with_workers": "workers",
    "serve": "daemon",
}

if not typing.TYPE_CHECKING:  # else every misspelt import would be an object to a type checker
    __getattr__, __dir__ = lazy.loading(__name__, _HOMES)
