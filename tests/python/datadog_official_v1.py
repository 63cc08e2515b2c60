"""Uses API v1 of a Datadog site with the vendor's official client, as a program outside would.

Usage: datadog_official_v1.py BASE_URL
The credentials come from DD_API_KEY and DD_APP_KEY.

It creates, lists, reads, changes and deletes API keys and application keys by
their values. It prints `ok` and exits 0; otherwise it says what is wrong and
exits 1. It leaves nothing behind but expects a site on which nobody else is
working.
"""

import os
import sys
import uuid
from datetime import datetime, timezone

from datadog_api_client import ApiClient, Configuration
from datadog_api_client.exceptions import ApiException, ForbiddenException, NotFoundException
from datadog_api_client.v1.api.key_management_api import KeyManagementApi
from datadog_api_client.v1.model.api_key import ApiKey
from datadog_api_client.v1.model.application_key import ApplicationKey

from datadog_official import Wrong, matches, recent, refused, same, true

MISSING_NAME = ["Required parameter 'name' is missing"]


def status(what, expected, errors, call):
    """Calls, and expects exactly this status with exactly these messages."""
    same(f"{what}: status", refused(what, ApiException, errors, call).status, expected)


def api_keys(api, master):
    name = f"official-{uuid.uuid4().hex[:8]}"
    user = next(key.created_by for key in api.list_api_keys().api_keys if key.key == master)

    created = api.create_api_key(body=ApiKey(name=name)).api_key
    same("created API key: name", created.name, name)
    matches("created API key: value", created.key, "[0-9a-f]{32}")
    same("created API key: by", created.created_by, user)
    time = datetime.strptime(created.created, "%Y-%m-%d %H:%M:%S").replace(tzinfo=timezone.utc)
    recent("created API key", time)

    same("API key", api.get_api_key(created.key).api_key, created)
    true("API key is not listed", created in api.list_api_keys().api_keys)
    updated = api.update_api_key(created.key, body=ApiKey(name=f"{name}-renamed")).api_key
    same("updated API key: name", updated.name, f"{name}-renamed")
    same("updated API key: value", updated.key, created.key)
    same("updated API key: creation", updated.created, created.created)
    same("API key after the update", api.get_api_key(created.key).api_key, updated)

    same("deleted API key", api.delete_api_key(created.key).api_key, updated)
    true("deleted API key is listed", updated not in api.list_api_keys().api_keys)
    for what, call in [
        ("get", lambda: api.get_api_key(created.key)),
        ("update", lambda: api.update_api_key(created.key, body=ApiKey(name=name))),
        ("delete", lambda: api.delete_api_key(created.key)),
    ]:
        refused(f"{what} a deleted API key", NotFoundException, ["API key not found"], call)
    status("API key without a name", 400, MISSING_NAME, lambda: api.create_api_key(body=ApiKey()))


def application_keys(api, master):
    name = f"official-{uuid.uuid4().hex[:8]}"
    user = next(key.owner for key in api.list_application_keys().application_keys if key.hash == master)

    created = api.create_application_key(body=ApplicationKey(name=name)).application_key
    same("created application key: name", created.name, name)
    matches("created application key: value", created.hash, "[0-9a-f]{40}")
    same("created application key: owner", created.owner, user)

    same("application key", api.get_application_key(created.hash).application_key, created)
    true("application key is not listed", created in api.list_application_keys().application_keys)
    status("twin", 409, None, lambda: api.create_application_key(body=ApplicationKey(name=name)))
    body = ApplicationKey(name=f"{name}-renamed")
    updated = api.update_application_key(created.hash, body=body).application_key
    same("updated application key: name", updated.name, f"{name}-renamed")
    same("updated application key: value", updated.hash, created.hash)
    same("updated application key: owner", updated.owner, user)

    same("deleted application key", api.delete_application_key(created.hash).application_key, updated)
    true("deleted application key is listed", updated not in api.list_application_keys().application_keys)
    for what, call in [
        ("get", lambda: api.get_application_key(created.hash)),
        ("update", lambda: api.update_application_key(created.hash, body=body)),
        ("delete", lambda: api.delete_application_key(created.hash)),
    ]:
        refused(f"{what} a deleted application key", NotFoundException, ["Application key not found"], call)
    unnamed = ApplicationKey()
    status("application key without a name", 400, MISSING_NAME, lambda: api.create_application_key(body=unnamed))


def main():
    base_url = sys.argv[1]
    api_key, app_key = os.environ.pop("DD_API_KEY"), os.environ.pop("DD_APP_KEY")
    configuration = Configuration(host=base_url, api_key={"apiKeyAuth": api_key, "appKeyAuth": app_key})
    with ApiClient(configuration) as client:
        api_keys(KeyManagementApi(client), api_key)
        application_keys(KeyManagementApi(client), app_key)
    configuration = Configuration(host=base_url, api_key={"apiKeyAuth": api_key, "appKeyAuth": "0" * 40})
    with ApiClient(configuration) as client:
        refused("wrong key", ForbiddenException, ["Forbidden"], KeyManagementApi(client).list_api_keys)


if __name__ == "__main__":
    try:
        main()
    except Wrong as fault:
        sys.exit(f"wrong: {fault}")
    print("ok")
