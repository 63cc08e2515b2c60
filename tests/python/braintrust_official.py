"""Uses a Braintrust instance with the vendor's official client, as a program outside would.

Usage: braintrust_official.py BASE_URL SERVICE_ACCOUNT_ID
The credential comes from BRAINTRUST_API_KEY: a service token with owner rights.

It lists, reads and deletes API keys, and creates, replaces, lists, reads and
deletes service tokens, and checks what comes back, values included. It prints
`ok` and exits 0; otherwise it says what is wrong and exits 1. It expects an
instance on which nobody else is working, with three API keys, and leaves none.
"""

import os
import re
import sys
import uuid
from datetime import datetime, timedelta, timezone
from typing import Optional

from braintrust_api import (
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    BaseModel,
    Braintrust,
    PermissionDeniedError,
)
from braintrust_api.pagination import SyncListObjects


class ServiceToken(BaseModel):
    """The client has no model of service tokens yet; this is the reference's."""

    id: str
    name: str
    preview_name: str
    created: Optional[datetime]
    service_account_id: Optional[str]
    service_account_email: Optional[str]
    service_account_name: Optional[str]
    org_id: Optional[str]


class NewServiceToken(ServiceToken):
    key: str


class Wrong(Exception):
    """Something is not as it should be."""


def same(what, actual, expected):
    if actual != expected:
        raise Wrong(f"{what}: {actual!r} instead of {expected!r}")


def matches(what, actual, pattern):
    if not re.fullmatch(pattern, str(actual)):
        raise Wrong(f"{what} does not look like {pattern}")


def refused(what, kind, words, call):
    """Calls, and expects exactly this exception with exactly these words."""
    try:
        call()
    except APIStatusError as fault:
        same(f"{what}: exception", type(fault), kind)
        same(f"{what}: words", fault.response.text, words)
        return
    raise Wrong(f"{what}: not refused")


def recent(what, time):
    age = datetime.now(timezone.utc) - time
    if not -timedelta(seconds=5) < age < timedelta(minutes=5):
        raise Wrong(f"{what}: {time} is not now")


def names(objects):
    return [it.name for it in objects]


def api_keys(client):
    keys = client.api_keys.list().objects
    same("API keys", len(keys), 3)
    # An iteration goes on to further pages by itself, forwards and backwards.
    same("API keys in pages", list(client.api_keys.list(limit=1)), keys)
    newer = list(client.api_keys.list(limit=1, ending_before=keys[2].id))
    same("API keys in pages, backwards", newer, [keys[1], keys[0]])
    same("API keys after the first", client.api_keys.list(starting_after=keys[0].id).objects, keys[1:])
    same("API keys before the last", client.api_keys.list(ending_before=keys[2].id).objects, keys[:2])
    same("API keys by id", client.api_keys.list(ids=[keys[2].id, keys[0].id]).objects, [keys[0], keys[2]])
    same("API keys by name", client.api_keys.list(api_key_name=keys[1].name).objects, [keys[1]])
    same("API keys elsewhere", client.api_keys.list(org_name="elsewhere").objects, [])
    for key in keys:
        matches("preview", key.preview_name, r"sk-\*{4}[0-9A-Za-z]{4}")
        recent("API key", key.created)
        same("API key", client.api_keys.retrieve(key.id), key)
        same("user", uuid.UUID(key.user_id).version, 4)
        same("given name", key.user_given_name, None)

    both = {"starting_after": keys[0].id, "ending_before": keys[2].id}
    words = "You may only pass one of starting_after and ending_before"
    refused("both cursors", BadRequestError, words, lambda: client.api_keys.list(**both))
    nobody = str(uuid.uuid4())
    words = f"No object with id {nobody}"
    refused("unknown cursor", BadRequestError, words, lambda: client.api_keys.list(starting_after=nobody))
    words = "API keys cannot create API keys"
    refused("new API key", PermissionDeniedError, words, lambda: client.api_keys.create(name="a"))

    for key in keys:
        same("deleted API key", client.api_keys.delete(key.id), key)
    same("API keys left", client.api_keys.list().objects, [])
    words = f"No api_key with id {keys[0].id}"
    refused("deleted API key", BadRequestError, words, lambda: client.api_keys.delete(keys[0].id))
    refused("deleted API key", BadRequestError, words, lambda: client.api_keys.retrieve(keys[0].id))


def service_tokens(client, account):
    path = "/v1/service_token"

    def listed(**params):
        page = SyncListObjects[ServiceToken]
        return client.get_api_list(path, model=ServiceToken, page=page, options={"params": params})

    def made(method, name):
        body = {"name": name, "service_account_id": account}
        token = method(path, cast_to=NewServiceToken, body=body)
        matches(f"{name}: value", token.key, "bt-st-[0-9A-Za-z]{48}")
        same(f"{name}: name", token.name, name)
        same(f"{name}: preview", token.preview_name, f"bt-st-****{token.key[-4:]}")
        same(f"{name}: account", token.service_account_id, account)
        recent(name, token.created)
        return token

    prefix = f"official-{uuid.uuid4().hex[:8]}"
    expected = [f"{prefix}-{letter}" for letter in "CBA"]
    tokens = [made(client.post, name) for name in reversed(expected)]
    same("service tokens", names(listed().objects[:3]), expected)
    pages = listed(limit=2)
    same("first page", names(pages.objects), expected[:2])
    same("service tokens in pages", names(pages)[:3], expected)
    same("service tokens by name", names(listed(service_token_name=expected[0])), expected[:1])

    first = tokens[0]
    found = client.get(f"{path}/{first.id}", cast_to=ServiceToken)
    same("service token", found.to_dict(), {k: v for k, v in first.to_dict().items() if k != "key"})
    replaced = made(client.put, first.name)
    same("replaced service token: id", replaced.id, first.id)
    if replaced.key == first.key:
        raise Wrong("the replaced service token has the old value")
    same("service tokens of that name", len(listed(service_token_name=first.name).objects), 1)
    made(client.put, f"{prefix}-D")
    again = made(client.post, first.name)
    same("service tokens of that name", len(listed(service_token_name=first.name).objects), 2)

    words = "Only organization owners can manage service tokens"
    other = client.copy(api_key=again.key)
    refused("a service account without rights", PermissionDeniedError, words, lambda: made(other.post, "a"))
    gone = client.copy(api_key=first.key)
    refused("a replaced token", AuthenticationError, "No valid API key provided", lambda: gone.api_keys.list())

    for token in listed():
        if token.name.startswith(prefix):
            same("deleted service token", client.delete(f"{path}/{token.id}", cast_to=ServiceToken), token)
    same("service tokens left", names(listed()), ["keygate master"])
    words = f"No service_token with id {first.id}"
    refused("deleted token", BadRequestError, words, lambda: client.delete(f"{path}/{first.id}", cast_to=ServiceToken))
    refused("deleted token", BadRequestError, words, lambda: client.get(f"{path}/{first.id}", cast_to=ServiceToken))


def main():
    base_url, account = sys.argv[1:]
    # Taken away, or the client would fall back on it where none is wanted.
    api_key = os.environ.pop("BRAINTRUST_API_KEY")
    strict = {"base_url": base_url, "max_retries": 0, "_strict_response_validation": True}
    api_keys(Braintrust(api_key=api_key, **strict))
    service_tokens(Braintrust(api_key=api_key, **strict), account)
    for wrong in (None, "bt-st-wrong"):
        client = Braintrust(api_key=wrong, **strict)
        refused(f"key {wrong}", AuthenticationError, "No valid API key provided", lambda: client.api_keys.list())


if __name__ == "__main__":
    try:
        main()
    except Wrong as fault:
        sys.exit(f"wrong: {fault}")
    print("ok")
