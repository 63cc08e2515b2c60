"""Makes an API key on US1. Usage: create_api_key.py ADDRESS TOKEN (from the repository's folder)"""
import sys
import grpc

sys.path.insert(0, "proto")
messages, services = grpc.protos_and_services("keygate/datadog/v2/api_key_service.proto")
address, token = sys.argv[1:]
keys = services.ApiKeyServiceStub(grpc.insecure_channel(address))
request = messages.CreateApiKeyRequest(site="SITE_US1", name="my first key")
answer = keys.CreateApiKey(request, metadata=[("authorization", f"Bearer {token}")], timeout=10)
print("made", answer.api_key.id, "ending in", answer.api_key.last4)
