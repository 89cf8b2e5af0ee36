"""Asking a running node from a process that has no replica, under trio and blocking.

`blocking` and `asyncclient` hold a connection and call methods. `remote` and `asyncremote` write and read a node's
ledger and searches through one, in batches; `branches` and `asyncbranches` are `Graph.branch` for such a process. What
both kinds share is sans-IO: `asks` and `branchasks`. Names are loaded at their first use.
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

__all__ = [
    "AsyncRemoteBranch",
    "AsyncRemotePlane",
    "AsyncRemoteSearch",
    "BlockingControlClient",
    "ControlClient",
    "RemoteBranch",
    "RemotePlane",
    "RemoteSearch",
    "async_remote_ledger",
    "async_remote_search",
    "remote_ledger",
    "remote_search",
]

_HOMES = {
    "AsyncRemoteBranch": "asyncbranches",
    "AsyncRemotePlane": "asyncremote",
    "AsyncRemoteSearch": "asyncremote",
    "BlockingControlClient": "blocking",
    "ControlClient": "asyncclient",
    "RemoteBranch": "branches",
    "RemotePlane": "remote",
    "RemoteSearch": "remote",
    "async_remote_ledger": "asyncremote",
    "async_remote_search": "asyncremote",
    "remote_ledger": "remote",
    "remote_search": "remote",
}

if not typing.TYPE_CHECKING:  # else every misspelt import would be an object to a type checker
    __getattr__, __dir__ = lazy.loading(__name__, _HOMES)
