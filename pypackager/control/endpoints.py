"""Streaming endpoints, as operators tell them.

In: commands, as the desk takes them. Out: endpoints, operations. Never: an answer before what it says is on the disk.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import trio
from msgspec.structs import replace

from pypackager.control.checks import check, conflict, match, merged
from pypackager.control.operations import Fault, Operation, Operations
from pypackager.control.ports import Fronts, Meter, Runner
from pypackager.control.resources import Resources, StreamingEndpoint, touched
from pypackager.control.settings import DEFAULT, ENDPOINT_AT_ANY_TIME, EndpointSettings, Switch, endpoint_faults
from pypackager.control.states import EndpointCommand, EndpointState, endpoint_way
from pypackager.model.errors import PackagerError


class Endpoints:
    """Takes commands on streaming endpoints.

    Args:
        runner: what runs, and the registry.
        fronts: what serves.
        operations: those under way.
        nursery: where operations are carried out.
    """

    def __init__(self, runner: Runner, fronts: Fronts, operations: Operations, nursery: trio.Nursery) -> None:
        self.fronts = fronts
        self._runner = runner
        self._operations = operations
        self._nursery = nursery

    @property
    def meter(self) -> Meter:
        """What is used, and who watches."""
        return self._runner.meter

    @property
    def resources(self) -> Resources:
        """All resources as they are now."""
        return self._runner.registry.resources

    def state(self, endpoint: StreamingEndpoint) -> EndpointState:
        """An endpoint's state: what it is to be, and how far that has come. One whose addresses can't be opened is Stopped."""
        pending = self._operations.pending(_path(endpoint.name))
        if endpoint.desired == "stopped":
            return "Stopping" if pending is not None else "Stopped"
        if self.fronts.trouble(endpoint.name) is not None:
            return "Stopped"
        return "Running" if pending is None and self.fronts.serves(endpoint.name) else "Starting"

    def pending(self, name: str) -> str | None:
        """Id of the operation that is under way."""
        pending = self._operations.pending(_path(name))
        return None if pending is None else pending.id

    async def create(self, name: str, settings: EndpointSettings) -> StreamingEndpoint:
        """Makes an endpoint, which is Stopped.

        Raises:
            PackagerError: INVALID (400), ENDPOINT_EXISTS (409), REGISTRY_NOT_WRITTEN.
        """
        check(endpoint_faults(name, settings))
        async with self._runner.registry.lock:
            if name in self.resources.endpoints:
                raise conflict("ENDPOINT_EXISTS", f"there is a streaming endpoint {name!r}")
            now = self._runner.utc()
            made = StreamingEndpoint(name=name, settings=settings, created=now, modified=now)
            await self._runner.registry.commit([made])
        await self.fronts.bring(name)
        return made

    async def change(self, name: str, changes: Mapping[str, Any], wanted: str | None = None) -> StreamingEndpoint:
        """Changes settings; null stands for the default.

        Raises:
            PackagerError: INVALID (400), ENDPOINT_STATE, OPERATION_PENDING (409), ETAG_MISMATCH (412), …
        """
        async with self._runner.registry.lock:
            endpoint = self._endpoint(name, wanted)
            settings = merged(endpoint.settings, changes)
            check(endpoint_faults(name, settings))
            endpoint_way(self.state(endpoint), "describe" if set(changes) <= set(ENDPOINT_AT_ANY_TIME) else "configure")
            endpoint = touched(replace(endpoint, settings=settings), self._runner.utc())
            await self._runner.registry.commit([endpoint])
        await self.fronts.bring(name)
        return endpoint

    async def command(self, name: str, switch: Switch, wanted: str | None = None) -> Operation:
        """Starts or stops an endpoint.

        Raises:
            PackagerError: ENDPOINT_STATE, OPERATION_PENDING, TLS_UNCONFIGURED (409), ETAG_MISMATCH (412), …
        """
        command: EndpointCommand = "start" if switch == "running" else "stop"
        async with self._runner.registry.lock:
            endpoint = self._endpoint(name, wanted)
            endpoint_way(self.state(endpoint), command)
            if command == "start" and endpoint.settings.tls:
                self.fronts.demand_certificate(name)
            await self._runner.registry.commit([touched(replace(endpoint, desired=switch), self._runner.utc())])
            operation = self._operations.begin(command, _path(name), self._runner.utc())
        self._nursery.start_soon(self._carry_out, operation, name)
        return operation

    async def delete(self, name: str, wanted: str | None = None) -> None:
        """Deletes an endpoint; its addresses are closed.

        Raises:
            PackagerError: ENDPOINT_STATE, ENDPOINT_DEFAULT, OPERATION_PENDING (409), ETAG_MISMATCH (412), …
        """
        async with self._runner.registry.lock:
            endpoint = self._endpoint(name, wanted)
            endpoint_way(self.state(endpoint), "delete")
            if name == DEFAULT:
                raise conflict("ENDPOINT_DEFAULT", "every daemon has this one; stop it")
            await self._runner.registry.commit(drop=[endpoint])
        await self.fronts.bring(name)

    def _endpoint(self, name: str, wanted: str | None) -> StreamingEndpoint:
        endpoint = self.resources.endpoint(name)
        match(endpoint, wanted)
        self._operations.free(_path(name))
        return endpoint

    async def _carry_out(self, operation: Operation, name: str) -> None:
        error: Fault | None = None
        try:
            await self.fronts.bring(name)
            if operation.command == "start" and (trouble := self.fronts.trouble(name)) is not None:
                error = Fault("ENDPOINT_FAILED", trouble)
        except PackagerError as fault:
            error = Fault(fault.code, fault.detail)
        self._operations.end(operation, self._runner.utc(), error)


def _path(name: str) -> str:
    return f"streaming-endpoints/{name}"
