"""A client of the gateway, generated from `proto/` alone, and what its scripts check with.

It needs the packages of requirements.txt.
"""

import importlib
import re
import sys
from pathlib import Path

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from grpc_tools import protoc


class Wrong(Exception):
    """Something is not as it should be."""


def same(what, actual, expected):
    if actual != expected:
        raise Wrong(f"{what}: {actual!r} instead of {expected!r}")


def true(what, condition):
    if not condition:
        raise Wrong(what)


def matches(what, actual, pattern):
    true(f"{what} does not look like {pattern}", re.fullmatch(pattern, actual))


def generate(protos, folder):
    """Compiles the contract into an empty folder. Gives the modules of each file with services."""
    files = sorted(str(path.relative_to(protos)) for path in Path(protos).glob("keygate/**/*.proto"))
    well_known = str(Path(protoc.__file__).parent / "_proto")
    arguments = [f"-I{protos}", f"-I{well_known}", f"--python_out={folder}", f"--grpc_python_out={folder}"]
    same("protoc", protoc.main(["protoc", *arguments, *files]), 0)
    sys.path.insert(0, folder)
    modules = []
    for path in files:
        name = path.removesuffix(".proto").replace("/", ".")
        messages, stubs = importlib.import_module(f"{name}_pb2"), importlib.import_module(f"{name}_pb2_grpc")
        if messages.DESCRIPTOR.services_by_name:
            modules.append((messages, stubs))
    return modules


class Method:
    """A method: its full name, how it is called, its request."""

    def __init__(self, service, method, stub, messages):
        self.name = f"{service.full_name}/{method.name}"
        self.call = getattr(stub, method.name)
        self.request = getattr(messages, method.input_type.name)
        self.is_stream = method.server_streaming


class Client:
    """The services of some packages, or one service, with a token and what requests are filled up with."""

    called = set()

    def __init__(self, channel, token, modules, scopes, **defaults):
        self.metadata = [("authorization", f"Bearer {token}")] if token else []
        self.defaults = defaults
        self.methods = {}
        for messages, stubs in modules:
            for service in messages.DESCRIPTOR.services_by_name.values():
                if service.full_name not in scopes and messages.DESCRIPTOR.package not in scopes:
                    continue
                stub = getattr(stubs, f"{service.name}Stub")(channel)
                for method in service.methods:
                    true(f"{method.name} is there twice", method.name not in self.methods)
                    self.methods[method.name] = Method(service, method, stub, messages)

    def __getattr__(self, rpc):
        return lambda **fields: self.call(self.methods[rpc], fields)

    def call(self, method, fields, metadata=()):
        """Calls a method. Of a stream it gives all messages."""
        self.called.add(method.name)
        known = method.request.DESCRIPTOR.fields_by_name
        fields = {name: value for name, value in self.defaults.items() if name in known} | fields
        metadata = [*self.metadata, *metadata]
        answer = method.call(method.request(**fields), metadata=metadata, timeout=20)
        return list(answer) if method.is_stream else answer


def refused(what, code, reason, call):
    """Calls, and expects this code and reason. Gives the details by their type."""
    try:
        call()
    except grpc.RpcError as fault:
        same(f"{what}: code", fault.code(), code)
        status = rpc_status.from_call(fault)
        true(f"{what}: no details", status)
        details = {}
        for packed in status.details:
            detail = getattr(error_details_pb2, packed.TypeName().rsplit(".", 1)[1])()
            true(f"{what}: a detail does not unpack", packed.Unpack(detail))
            details[type(detail).__name__] = detail
        info = details["ErrorInfo"]
        same(f"{what}: domain", info.domain, "keygate")
        same(f"{what}: reason", info.reason, reason)
        returned = dict(fault.initial_metadata() or ()) | dict(fault.trailing_metadata() or ())
        same(f"{what}: request id", returned.get("x-request-id"), info.metadata["request_id"])
        return details
    raise Wrong(f"{what}: not refused")
