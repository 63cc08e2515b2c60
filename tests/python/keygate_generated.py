"""Uses the gateway with a client generated from `proto/` alone, as a team that calls it would.

Usage: keygate_generated.py ADDRESS PROTO_FOLDER EMPTY_FOLDER
The tokens come from KEYGATE_ADMIN, KEYGATE_READER and KEYGATE_NOBODY.

It generates the client into EMPTY_FOLDER with grpcio-tools, takes API keys,
application keys and personal access tokens of Datadog through their lives,
looks at every field, and reads the typed details of errors. It prints `ok` and
exits 0; otherwise it says what is wrong and exits 1. It leaves nothing behind
but expects a site (US1) on which nobody else is working.
"""

import os
import sys
import uuid
from datetime import datetime, timedelta, timezone

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from keygate_client import Client, Wrong, generate, matches, refused, same, true

UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"

# the services that this is about
SERVICES = [
    "keygate.access.v1.AccessService",
    "keygate.datadog.v2.ApiKeyService",
    "keygate.datadog.v2.ApplicationKeyService",
    "keygate.datadog.v2.CurrentUserApplicationKeyService",
    "keygate.datadog.v2.PersonalAccessTokenService",
]


def recent(what, time):
    age = datetime.now(timezone.utc) - time.ToDatetime(tzinfo=timezone.utc)
    true(f"{what}: {time} is not now", -timedelta(seconds=5) < age < timedelta(minutes=5))


def not_found(what, call):
    info = refused(what, grpc.StatusCode.NOT_FOUND, "KEY_NOT_FOUND", call)["ErrorInfo"]
    same(f"{what}: upstream", info.metadata["upstream"], "datadog/us1/main")
    same(f"{what}: upstream's status", info.metadata["upstream_status"], "404")


def names(resources):
    return [it.name for it in resources]


def pages(what, expected, field, call):
    """Walks pages of two and expects them to hold all the names, in order."""
    seen = []
    for number in range(len(expected)):
        answer = call(page_size=2, page_number=number)
        same(f"{what}: total", answer.meta.total_filtered_count, len(expected))
        page = names(getattr(answer, field))
        if not page:
            break
        true(f"{what}: page {number} is too long", len(page) <= 2)
        seen += page
    same(f"{what}: all pages", seen, expected)


def included(answer):
    """Kinds and ids of what came along."""
    resources = [(it.WhichOneof("resource"), it) for it in answer.included]
    return [(kind, getattr(it, kind).id) for kind, it in resources]


def api_keys(admin, reader):
    prefix = f"generated-{uuid.uuid4().hex[:8]}"
    created = []
    for letter in "CABDE":
        kind = {"category": "special", "remote_config_read_enabled": False} if letter == "D" else {}
        key = admin.CreateApiKey(name=f"{prefix}-{letter}", **kind).api_key
        same("created API key: name", key.name, f"{prefix}-{letter}")
        matches("created API key: value", key.key, "[0-9a-f]{32}")
        matches("created API key: id", key.id, UUID)
        same("created API key: last4", key.last4, key.key[-4:])
        same("created API key: modified", key.modified_at, key.created_at)
        same("created API key: by", key.created_by.type, "users")
        true("created API key: leak is reported", key.HasField("leak_information"))
        true("created API key: no leak", not key.leak_information.HasField("leaked_key_id"))
        recent("created API key", key.created_at)
        created.append(key)
    user = created[0].created_by.id
    expected = [f"{prefix}-{letter}" for letter in "ABCDE"]

    def listed(**fields):
        return admin.ListApiKeys(filter=prefix, **fields)

    pages("API keys by name", expected, "api_keys", listed)
    for sort, order in [("NAME_DESC", "EDCBA"), ("CREATED_AT", "CABDE"), ("MODIFIED_AT_DESC", "EDBAC")]:
        answer = listed(sort=f"API_KEY_SORT_{sort}")
        same(f"API keys by {sort}", names(answer.api_keys), [f"{prefix}-{letter}" for letter in order])
    ends = [key.last4 for key in listed(sort="API_KEY_SORT_LAST4").api_keys]
    same("API keys by last4", ends, sorted(key.last4 for key in created))
    third = created[2].created_at
    for bound in ("created_at_start", "created_at_end", "modified_at_start", "modified_at_end"):
        same(f"API keys with {bound}", len(listed(**{bound: third}).api_keys), 3)
    same("API keys of a category", names(listed(category="special").api_keys), [expected[3]])
    same("API keys with remote configuration", len(listed(remote_config_read_enabled=True).api_keys), 4)
    both = ["API_KEY_INCLUDE_CREATED_BY", "API_KEY_INCLUDE_MODIFIED_BY"]
    answer = admin.ListApiKeys(filter=expected[0], include=both)
    same("API keys: most allowed", answer.meta.max_allowed, 50)
    same("API keys: one user included once", included(answer), [("user", user)])
    key = answer.api_keys[0]
    true("a listed API key shows its value", not key.HasField("key"))
    same("listed API key: last use", (key.WhichOneof("last_used"), key.never_used), ("never_used", True))
    same("listed API key: recent use", key.used_in_last_24_hours, False)
    same("listed API key: category", key.category, "default")

    first = created[0]
    answer = admin.GetApiKey(api_key_id=first.id, include=both[:1])
    same("API key: value", answer.api_key.key, first.key)
    same("API key: included", included(answer), [("user", user)])
    concealed = reader.GetApiKey(api_key_id=first.id).api_key
    same("concealed API key: name", concealed.name, first.name)
    true("a concealed API key shows its value", not concealed.HasField("key"))
    answer = admin.UpdateApiKey(api_key_id=first.id, name=f"{prefix}-renamed", category="special")
    same("updated API key: name", answer.api_key.name, f"{prefix}-renamed")
    same("updated API key: value", answer.api_key.key, first.key)
    modified = answer.api_key.modified_at.ToNanoseconds()
    true("updated API key: time", modified > first.modified_at.ToNanoseconds())
    key = admin.GetApiKey(api_key_id=first.id).api_key
    same("API key after the update", (key.name, key.category), (f"{prefix}-renamed", "special"))
    same("API key after the update: untouched", key.remote_config_read_enabled, first.remote_config_read_enabled)

    for key in created:
        admin.DeleteApiKey(api_key_id=key.id)
    same("API keys left", names(listed().api_keys), [])
    for call in (admin.GetApiKey, admin.DeleteApiKey):
        not_found("deleted API key", lambda: call(api_key_id=first.id))
    not_found("deleted API key", lambda: admin.UpdateApiKey(api_key_id=first.id, name="x"))
    not_found("unknown API key", lambda: admin.GetApiKey(api_key_id="invalidId"))


def application_keys(admin):
    prefix = f"generated-{uuid.uuid4().hex[:8]}"
    scopes = ["dashboards_read", "dashboards_write"]
    created = []
    for letter in "CAB":
        kind = {"scopes": {"values": scopes}} if letter == "A" else {}
        key = admin.CreateCurrentUserApplicationKey(name=f"{prefix}-{letter}", **kind).application_key
        same("created application key: name", key.name, f"{prefix}-{letter}")
        matches("created application key: value", key.key, "[0-9a-f]{40}")
        same("created application key: last4", key.last4, key.key[-4:])
        same("created application key: scopes", list(key.scopes.values), scopes if letter == "A" else [])
        same("created application key: unscoped", key.scopes.unscoped, letter != "A")
        same("created application key: owner", key.owned_by.type, "users")
        recent("created application key", key.created_at)
        created.append(key)
    expected = [f"{prefix}-{letter}" for letter in "ABC"]
    first, scoped = created[0], created[1]
    user = first.owned_by.id

    for what, list_keys in [
        ("own application keys", admin.ListCurrentUserApplicationKeys),
        ("application keys", admin.ListApplicationKeys),
    ]:
        pages(what, expected, "application_keys", lambda **page: list_keys(filter=prefix, **page))
        answer = list_keys(filter=prefix, sort="APPLICATION_KEY_SORT_CREATED_AT_DESC")
        same(f"{what}, newest first", names(answer.application_keys), [f"{prefix}-{letter}" for letter in "BAC"])
        same(f"{what}: most allowed", answer.meta.max_allowed_per_user, 1000)
        true(f"{what}: a value is shown", not any(key.HasField("key") for key in answer.application_keys))
        same(f"{what}: nothing included", included(answer), [])
        answer = list_keys(filter=expected[1], include=["APPLICATION_KEY_INCLUDE_OWNED_BY"])
        same(f"{what}: the owner included", included(answer)[0], ("user", user))
        same(f"{what}: the role included", [kind for kind, _ in included(answer)], ["user", "role"])
    same("keys of the user", len(admin.ListApplicationKeys(filter=prefix, owned_by=user).application_keys), 3)
    answer = admin.ListApplicationKeys(filter=prefix, owned_by=str(uuid.uuid4()))
    same("keys of nobody", len(answer.application_keys), 0)
    answer = admin.ListApplicationKeys(filter=prefix, created_at_end=Timestamp(seconds=1_606_243_581))
    same("keys of long ago", len(answer.application_keys), 0)

    answer = admin.GetCurrentUserApplicationKey(app_key_id=first.id)
    key = answer.application_key
    same("own application key: value", key.key, first.key)
    same("own application key: scopes", (key.scopes.unscoped, list(key.scopes.values)), (True, []))
    same("own application key: never used", key.never_used, True)
    same("own application key: included unasked", [kind for kind, _ in included(answer)], ["user", "role"])
    same("own application key: role", answer.included[1].role.name, "Datadog Admin Role")
    owned_by = ["APPLICATION_KEY_INCLUDE_OWNED_BY"]
    key = admin.GetApplicationKey(app_key_id=scoped.id, include=owned_by).application_key
    true("application key shows its value", not key.HasField("key"))
    same("application key: scopes", list(key.scopes.values), scopes)
    same("application key: owner", key.owned_by.id, user)

    answer = admin.UpdateCurrentUserApplicationKey(app_key_id=first.id, name=f"{prefix}-renamed", scopes={})
    key = answer.application_key
    same("updated own application key: name", key.name, f"{prefix}-renamed")
    true("updated own application key: scopes reported", key.HasField("scopes"))
    same("updated own application key: scopes", (key.scopes.unscoped, list(key.scopes.values)), (False, []))
    same("updated own application key: value", key.key, first.key)
    key = admin.UpdateApplicationKey(app_key_id=scoped.id, scopes={"unscoped": True}).application_key
    same("updated application key: name", key.name, expected[0])
    same("updated application key: scopes", key.scopes.unscoped, True)
    true("updated application key shows its value", not key.HasField("key"))

    admin.DeleteApplicationKey(app_key_id=scoped.id)
    for key in (created[0], created[2]):
        admin.DeleteCurrentUserApplicationKey(app_key_id=key.id)
    same("application keys left", names(admin.ListApplicationKeys(filter=prefix).application_keys), [])
    for rpc in ("GetApplicationKey", "DeleteApplicationKey"):
        for own in ("", "CurrentUser"):
            name = rpc.replace("Application", f"{own}Application")
            not_found(name, lambda: getattr(admin, name)(app_key_id=first.id))


def tokens(admin, user):
    prefix = f"generated-{uuid.uuid4().hex[:8]}"
    now = datetime.now(timezone.utc).replace(microsecond=208000)

    def after(**time):
        at = Timestamp()
        at.FromDatetime(now + timedelta(**time))
        return at

    def create(name, expires_at):
        return admin.CreatePersonalAccessToken(name=name, scopes=["dashboards_read"], expires_at=expires_at)

    created = []
    for number, letter in enumerate("CAB"):
        expires_at = after(days=365 - number)
        token = create(f"{prefix}-{letter}", expires_at).access_token
        same("created token: name", token.name, f"{prefix}-{letter}")
        same("created token: scopes", list(token.scopes.values), ["dashboards_read"])
        same("created token: expiry", token.expires_at, expires_at)
        same("created token: owner", token.owned_by.id, user)
        matches("created token: public portion", token.public_portion, "[0-9A-Za-z]{22}")
        matches("created token: value", token.key, f"ddpat_{token.public_portion}_[0-9A-Za-z]{{36}}")
        recent("created token", token.created_at)
        created.append(token)
    expected = [f"{prefix}-{letter}" for letter in "ABC"]
    first = created[0]

    def listed(**fields):
        return admin.ListPersonalAccessTokens(filter=prefix, **fields)

    pages("tokens", expected, "access_tokens", listed)
    for sort, order in [
        ("EXPIRES_AT", "BAC"),
        ("CREATED_AT_DESC", "BAC"),
        ("NAME_DESC", "CBA"),
        ("LAST_USED_AT", "CAB"),
    ]:
        answer = listed(sort=f"ACCESS_TOKEN_SORT_{sort}")
        same(f"tokens by {sort}", names(answer.access_tokens), [f"{prefix}-{letter}" for letter in order])
    leak = ["ACCESS_TOKEN_INCLUDE_LEAK_INFORMATION"]
    answer = listed(owned_by=[str(uuid.uuid4()), user], include=leak)
    same("tokens of the user", len(answer.access_tokens), 3)
    true("a listed token shows its value", not any(token.HasField("key") for token in answer.access_tokens))
    token = answer.access_tokens[0]
    true("a listed token: leak is reported", token.HasField("leak_information"))
    true("a listed token: no leak", not token.leak_information.HasField("leaked_key_id"))
    same("leaked tokens", len(listed(leaked=True).access_tokens), 0)

    token = admin.GetPersonalAccessToken(token_id=first.id, include=leak).access_token
    same("token: name", token.name, expected[2])
    same("token: never used", token.never_used, True)
    same("token: last change", (token.HasField("modified_at"), "modified_at" in token.null_members), (False, True))
    token = admin.UpdatePersonalAccessToken(
        token_id=first.id, name=f"{prefix}-renamed", scopes={"values": ["monitors_read"]}
    ).access_token
    same("updated token: name", token.name, f"{prefix}-renamed")
    same("updated token: scopes", list(token.scopes.values), ["monitors_read"])
    recent("updated token", token.modified_at)

    for token in created:
        admin.RevokePersonalAccessToken(token_id=token.id)
    admin.RevokePersonalAccessToken(token_id=first.id)
    same("tokens left", names(listed().access_tokens), [])
    not_found("revoked token", lambda: admin.GetPersonalAccessToken(token_id=first.id))
    not_found("unknown token", lambda: admin.RevokePersonalAccessToken(token_id="invalidId"))
    code = grpc.StatusCode.INVALID_ARGUMENT
    details = refused("short-lived token", code, "UPSTREAM_REJECTED", lambda: create(prefix, after(hours=23)))
    true("short-lived token: upstream's words", details["ErrorInfo"].metadata["upstream_errors"])
    details = refused("a token without an end", code, "INVALID_REQUEST", lambda: create(prefix, None))
    fields = [it.field for it in details["BadRequest"].field_violations]
    same("a token without an end: field", fields, ["expires_at"])


def access(admin, reader, nobody, stranger):
    me = reader.WhoAmI()
    same("subject", me.subject, "sandbox-reader")
    same("claims", list(me.claims), ["reader"])
    same("roles", [it.role for it in me.roles], ["reader"])
    create = "keygate.datadog.v2.ApiKeyService/CreateApiKey"
    answer = reader.ExplainAccess(method=create, upstream="datadog/us1/main")
    same("a reader may create", answer.DESCRIPTOR.full_name, "keygate.access.v1.ExplainAccessResponse")
    decisions = answer.DESCRIPTOR.fields_by_name["decision"].enum_type.values_by_name
    same("a reader may create", answer.decision, decisions["DECISION_DENIED"].number)
    same("what a reader misses", list(answer.missing_permissions), ["api_keys_write"])
    answer = admin.ExplainAccess(method=create)
    same("an admin may not create", answer.decision, decisions["DECISION_PERMITTED"].number)
    upstreams = [it.name for it in admin.ListUpstreams().upstreams]
    same("upstreams", len(upstreams), 15)
    true("US1 is not among the upstreams", "datadog/us1/main" in upstreams)
    same("upstreams of nobody", list(nobody.ListUpstreams().upstreams), [])

    denied = grpc.StatusCode.PERMISSION_DENIED
    info = refused("a reader creates", denied, "POLICY_DENIED", lambda: reader.CreateApiKey(name="x"))["ErrorInfo"]
    same("a reader creates: permission", info.metadata["permission"], "api_keys_write")
    refused("nobody lists", denied, "POLICY_DENIED", lambda: nobody.ListApiKeys())
    refused("no token", grpc.StatusCode.UNAUTHENTICATED, "TOKEN_MISSING", lambda: stranger.ListApiKeys())


def main():
    address, protos, folder = sys.argv[1:]
    modules = generate(protos, folder)
    with grpc.insecure_channel(address) as channel:

        def client(token):
            return Client(channel, token, modules, SERVICES, site="SITE_US1")

        admin = client(os.environ["KEYGATE_ADMIN"])
        reader = client(os.environ["KEYGATE_READER"])
        nobody = client(os.environ["KEYGATE_NOBODY"])
        stranger = client(None)
        key = admin.CreateCurrentUserApplicationKey(name="whose").application_key
        admin.DeleteCurrentUserApplicationKey(app_key_id=key.id)
        api_keys(admin, reader)
        application_keys(admin)
        tokens(admin, key.owned_by.id)
        access(admin, reader, nobody, stranger)


if __name__ == "__main__":
    try:
        main()
    except Wrong as fault:
        sys.exit(f"wrong: {fault}")
    print("ok")
