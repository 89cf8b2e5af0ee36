"""sync: nodes that replicate a graph to each other, and the socket that controls one.

Names are loaded at their first use: a command that only asks a node through its socket needs no event loop, and
importing one takes longer than most answers.
"""

import typing

from crdtgraph import lazy

if typing.TYPE_CHECKING:
    from sync.client.asyncbranches import AsyncRemoteBranch
    from sync.client.asyncclient import ControlClient
    from sync.client.asyncremote import AsyncRemotePlane, AsyncRemoteSearch, async_remote_ledger, async_remote_search
    from sync.client.blocking import BlockingControlClient
    from sync.client.branches import RemoteBranch
    from sync.client.remote import RemotePlane, RemoteSearch, remote_ledger, remote_search
    from sync.control import open_control, open_workers_port
    from sync.daemon import serve
    from sync.node import Node
    from sync.protocol.limits import Settings
    from sync.requests import LocalCaller
    from sync.status import AlarmStatus, NodeStatus, PeerStatus
    from sync.transport import Address, TcpTransport, Transport
    from sync.turns import Turns
    from sync.workers.asyncworker import run_worker
    from sync.workers.desks import Desks
    from sync.workers.pool import Workers, async_search_with_workers, search_with_workers
    from sync.workers.threads import search_with_threads
    from sync.workers.worker import Worker

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
    "Turns",
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
    "AsyncRemoteBranch": "client.asyncbranches",
    "AsyncRemotePlane": "client.asyncremote",
    "AsyncRemoteSearch": "client.asyncremote",
    "BlockingControlClient": "client.blocking",
    "ControlClient": "client.asyncclient",
    "Desks": "workers.desks",
    "LocalCaller": "requests",
    "Node": "node",
    "NodeStatus": "status",
    "PeerStatus": "status",
    "RemoteBranch": "client.branches",
    "RemotePlane": "client.remote",
    "RemoteSearch": "client.remote",
    "Settings": "protocol.limits",
    "TcpTransport": "transport",
    "Transport": "transport",
    "Turns": "turns",
    "Worker": "workers.worker",
    "Workers": "workers.pool",
    "async_remote_ledger": "client.asyncremote",
    "async_remote_search": "client.asyncremote",
    "async_search_with_workers": "workers.pool",
    "open_control": "control",
    "open_workers_port": "control",
    "remote_ledger": "client.remote",
    "remote_search": "client.remote",
    "run_worker": "workers.asyncworker",
    "search_with_threads": "workers.threads",
    "search_with_workers": "workers.pool",
    "serve": "daemon",
}

if not typing.TYPE_CHECKING:  # else every misspelt import would be an object to a type checker
    __getattr__, __dir__ = lazy.loading(__name__, _HOMES)
