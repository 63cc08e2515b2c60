"""Walks all vendors with a client generated from `proto/` alone: makes, finds, changes and removes a key or
token wherever the vendor allows it, with every RPC that there is.

Usage: keygate_walk.py ADDRESS PROTO_FOLDER EMPTY_FOLDER
The admin's token comes from KEYGATE_ADMIN, the places from KEYGATE_PLACES: a JSON object of
`organization_id` and `service_accounts`, by vendor.

It generates the client into EMPTY_FOLDER. It prints one line of JSON for each call, with all that the trail
has to tell of it, and exits 0; otherwise it says what is wrong and exits 1.
"""

import itertools
import json
import os
import sys
import uuid
from datetime import datetime, timedelta, timezone

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from keygate_client import Client, Wrong, generate, refused, same, true

CODES = {
    "KEY_NOT_FOUND": grpc.StatusCode.NOT_FOUND,
    "NOT_OFFERED_UPSTREAM": grpc.StatusCode.UNIMPLEMENTED,
    # what Braintrust says of an id that is nobody's
    "UPSTREAM_REJECTED": grpc.StatusCode.INVALID_ARGUMENT,
}


def new_name():
    return f"walk-{uuid.uuid4().hex[:8]}"


def first(answer):
    """The resource of an answer, or the resources of a list's."""
    field = answer.DESCRIPTOR.fields[0]
    return getattr(answer, field.name)


def next_year():
    at = Timestamp()
    at.FromDatetime(datetime.now(timezone.utc) + timedelta(days=300))
    return at


class Walk:
    """One service. Every call is written down, with what the trail has to tell of it."""

    numbers = itertools.count(1)

    def __init__(self, client, upstream, kind, parent=None):
        self.client, self.upstream, self.kind, self.parent = client, upstream, kind, parent

    def call(self, rpc, ids=(), reason="", copy_of=None, secret=False, **fields):
        """Calls a method about these ids. A `reason` is expected as a refusal."""
        method = self.client.methods[rpc]
        told = {
            "request_id": f"walk-{next(self.numbers)}",
            "rpc": method.name,
            "code": CODES[reason].name if reason else "OK",
            "reason": reason,
            "upstream": self.upstream,
            "type": self.kind,
            "parent": self.parent if "service_account_id" in method.request.DESCRIPTOR.fields_by_name else None,
            "ids": list(ids),
            "copy_of": copy_of,
            "secret": secret,
        }

        def send():
            return self.client.call(method, fields, [("x-request-id", told["request_id"])])

        answer = refused(rpc, CODES[reason], reason, send) if reason else send()
        if rpc.startswith(("List", "Stream")):
            told["items"] = len(answer if method.is_stream else first(answer))
        if not reason and rpc.startswith(("Create", "Replace", "Duplicate")) and not secret:
            told["made"] = first(answer).id
        print(json.dumps(told))
        return answer


def live(walk, noun, field, *, maker=None, member="id", named="name", remove="Delete", streams=True, gone="KEY_NOT_FOUND", **make):
    """Takes a key or token of such a service through its life, until a read of it is refused."""
    secret = member != "id"
    name, renamed = new_name(), new_name()
    make = {named: name} | make
    if maker:
        made = first(maker[0].call(maker[1], **make))
    else:
        made = first(walk.call(f"Create{noun}", secret=secret, **make))
    same(f"{noun}: name", getattr(made, named), name)
    at = getattr(made, member)
    about = {"ids": [] if secret else [at], "secret": secret, field: at}
    there = first(walk.call(f"List{noun}s"))
    true(f"{noun}: it is not listed", at in [getattr(it, member) for it in there])
    if streams:
        there = [first(it) for it in walk.call(f"Stream{noun}s")]
        same(f"{noun}: streamed", [it.id for it in there].count(at), 1)
    same(f"{noun}: got", getattr(first(walk.call(f"Get{noun}", **about)), member), at)
    if f"Update{noun}" in walk.client.methods:
        walk.call(f"Update{noun}", **about, **{named: renamed})
        got = first(walk.call(f"Get{noun}", **about))
        same(f"{noun}: new name", getattr(got, named), renamed)
    walk.call(f"{remove}{noun}", **about)
    walk.call(f"Get{noun}", reason=gone, **about)


def datadog(client, account):
    upstream = "datadog/us1/main"

    def walk(service, kind, **more):
        at = client(f"keygate.datadog.{service}", site="SITE_US1", service_account_id=account)
        return Walk(at, upstream, kind, **more)

    live(walk("v2.ApiKeyService", "api_key"), "ApiKey", "api_key_id")
    own = walk("v2.CurrentUserApplicationKeyService", "application_key")
    live(own, "CurrentUserApplicationKey", "app_key_id", scopes={"values": ["dashboards_read"]})
    maker = (own, "CreateCurrentUserApplicationKey")
    live(walk("v2.ApplicationKeyService", "application_key"), "ApplicationKey", "app_key_id", maker=maker)
    token = {"remove": "Revoke", "scopes": ["dashboards_read"], "expires_at": next_year()}
    live(walk("v2.PersonalAccessTokenService", "access_token"), "PersonalAccessToken", "token_id", **token)
    accounts = "v2.ServiceAccountKeyService"
    keys = walk(accounts, "application_key", parent=account)
    live(keys, "ServiceAccountApplicationKey", "app_key_id")
    live(walk(accounts, "access_token", parent=account), "ServiceAccountAccessToken", "token_id", **token)
    # where the value is the id
    live(walk("v1.ApiKeyService", "api_key"), "ApiKey", "key", member="key", streams=False)
    keys = walk("v1.ApplicationKeyService", "application_key")
    live(keys, "ApplicationKey", "key", member="hash", streams=False)


def braintrust(client, account):
    upstream = "braintrust/default"
    keys = Walk(client("keygate.braintrust.v1.ApiKeyService"), upstream, "api_key")
    keys.call("CreateApiKey", reason="NOT_OFFERED_UPSTREAM", name=new_name())
    listed = [it.id for it in first(keys.call("ListApiKeys"))]
    same("API keys: streamed", [it.api_key.id for it in keys.call("StreamApiKeys")], listed)
    about = {"ids": listed[:1], "api_key_id": listed[0]}
    same("API key: got", keys.call("GetApiKey", **about).api_key.id, listed[0])
    same("API key: removed", keys.call("DeleteApiKey", **about).api_key.id, listed[0])
    keys.call("GetApiKey", reason="UPSTREAM_REJECTED", **about)

    at = client("keygate.braintrust.v1.ServiceTokenService", service_account_id=account)
    tokens = Walk(at, upstream, "service_token", parent=account)
    name = new_name()
    made = tokens.call("CreateServiceToken", name=name).service_token
    replaced = tokens.call("ReplaceServiceToken", name=name).service_token
    same("service token: name", replaced.name, name)
    true("service token: the same value", replaced.key and replaced.key != made.key)
    about = {"ids": [replaced.id], "service_token_id": replaced.id}
    tokens.call("DeleteServiceToken", **about)
    live(tokens, "ServiceToken", "service_token_id", gone="UPSTREAM_REJECTED")


def coveo(client, organization):
    upstream = f"coveo/us/{organization}"
    at = client("keygate.coveo.v1.ApiKeyService", organization_id=organization)
    keys = Walk(at, upstream, "api_key")
    live(keys, "ApiKey", "api_key_id", named="display_name", streams=False)

    def status(key):
        key = keys.call("GetApiKey", ids=[key], api_key_id=key).api_key
        field = key.DESCRIPTOR.fields_by_name["status"]
        return field.enum_type.values_by_number[key.status].name.removeprefix("API_KEY_STATUS_")

    key = keys.call("CreateApiKey", display_name=new_name()).api_key
    for rpc, expected in [
        ("DisableApiKey", "DISABLED"),
        ("ActivateApiKey", "ENABLED"),
        ("ExtendApiKey", "ENABLED"),
    ]:
        keys.call(rpc, ids=[key.id], api_key_id=key.id)
        same(rpc, status(key.id), expected)
    copy = keys.call("DuplicateApiKey", copy_of=key.id, api_key_id=key.id, display_name=new_name()).api_key
    true("the copy has the same value", copy.value and copy.value != key.value)
    both = [key.id, copy.id]
    for rpc, expected in [("BulkDisableApiKeys", "DISABLED"), ("BulkActivateApiKeys", "ENABLED")]:
        keys.call(rpc, ids=both, api_key_ids=both)
        same(rpc, [status(it) for it in both], [expected] * 2)
    keys.call("BulkDeleteApiKeys", ids=both, api_key_ids=both)
    for it in both:
        keys.call("GetApiKey", reason="KEY_NOT_FOUND", ids=[it], api_key_id=it)


def main():
    address, protos, folder = sys.argv[1:]
    modules = generate(protos, folder)
    places = json.loads(os.environ["KEYGATE_PLACES"])
    accounts = places["service_accounts"]
    with grpc.insecure_channel(address) as channel:

        def client(service, **defaults):
            return Client(channel, os.environ["KEYGATE_ADMIN"], modules, [service], **defaults)

        datadog(client, accounts["datadog"])
        braintrust(client, accounts["braintrust"])
        coveo(client, places["organization_id"])
    services = [it for messages, _ in modules for it in messages.DESCRIPTOR.services_by_name.values()]
    names = {f"{it.full_name}/{method.name}" for it in services for method in it.methods}
    # keygate's own are no vendor's
    own = ("keygate.access.", "keygate.audit.")
    left = {it for it in names - Client.called if not it.startswith(own)}
    same("RPCs that were not called", sorted(left), [])


if __name__ == "__main__":
    try:
        main()
    except Wrong as fault:
        sys.exit(f"wrong: {fault}")
