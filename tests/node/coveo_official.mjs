// Uses a Coveo organization with the vendor's official client, as a program
// outside would.
//
// Usage: coveo_official.mjs BASE_URL ORGANIZATION_ID
// The access token comes from COVEO_TOKEN.
//
// It makes, lists, reads, changes, disables, activates, extends, copies and
// deletes API keys, one by one and several at once, and checks what comes back,
// values included. It prints `ok` and exits 0; otherwise it says what is wrong
// and exits 1. It leaves nothing behind but expects an organization in which
// nobody else is working.

import assert from 'node:assert/strict';
import { argv, env, stdout } from 'node:process';

import {
    ApiKeyPrivacyLevel,
    ApiKeyStatus,
    ApiKeyStatusFilter,
    CoveoPlatformClientError,
    PlatformClient,
} from '@coveo/platform-client';

const [, , host, organizationId] = argv;
const DAY = 24 * 60 * 60 * 1000;
const VALUE = /^xx[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const MASKED = /^xx\*+[0-9a-f]{4}$/;

function client(options = {}) {
    return new PlatformClient({ host, organizationId, accessToken: env.COVEO_TOKEN, ...options });
}

const keys = client().apiKey;

async function ids(status) {
    const listed = await keys.list(status && { status });
    return listed.map((key) => key.id);
}

async function refused(status, title, call) {
    await assert.rejects(call, (error) => {
        assert.ok(error instanceof CoveoPlatformClientError, String(error));
        assert.equal(error.status, status);
        assert.equal(error.title, title);
        assert.equal(typeof error.detail, 'string');
        assert.notEqual(error.xRequestId, 'unknown');
        assert.equal(error.requestID, error.xRequestId);
        return true;
    });
}

function recent(time) {
    assert.equal(typeof time, 'number');
    assert.ok(Math.abs(Date.now() - time) < 5 * 60 * 1000, `${time} is not now`);
}

async function lifecycle() {
    assert.deepEqual(await keys.list(), []);
    const body = {
        displayName: 'payments',
        description: 'reads sources',
        allowedIps: ['192.168.0.0/16'],
        deniedIps: ['192.168.7.7'],
        privileges: [{ owner: 'PLATFORM', targetDomain: 'SOURCE', type: 'VIEW', targetId: '*' }],
        additionalConfiguration: { search: { enforcedQueryPipelineConfiguration: { searchHub: 'hub' } } },
        groupsThatCanEdit: [{ id: 'group', displayName: 'Group' }],
    };
    const made = await keys.create({ ...body, lifetimeDuration: 'P1Y' });
    assert.match(made.value, VALUE);
    assert.match(made.id, /^[a-z2-7]{26}$/);
    assert.equal(made.organizationId, organizationId);
    assert.equal(made.resourceId, made.id);
    assert.equal(made.enabled, true);
    assert.equal(made.status, ApiKeyStatus.ENABLED);
    assert.equal(made.privacyLevel, ApiKeyPrivacyLevel.PRIVATE);
    assert.equal(made.expirationDate - made.createdDate, 365 * DAY);
    recent(made.createdDate);

    const read = await keys.get(made.id);
    assert.match(read.value, MASKED);
    assert.equal(read.value.slice(-4), made.value.slice(-4));
    assert.deepEqual({ ...read, value: made.value }, made);
    for (const [name, value] of Object.entries(body)) {
        assert.deepEqual(read[name], value, name);
    }
    assert.deepEqual(await keys.list(), [read]);

    // a whole resource, as the client's type asks for
    assert.deepEqual(await keys.update({ ...read, displayName: 'payments-2', deniedIps: [] }), {});
    assert.deepEqual(await keys.get(made.id), { ...read, displayName: 'payments-2', deniedIps: [] });

    // `toggle` looks at what it is given
    await keys.toggle({ ...read, enabled: true });
    const disabled = await keys.get(made.id);
    assert.equal(disabled.enabled, false);
    assert.equal(disabled.status, ApiKeyStatus.DISABLED);
    recent(disabled.disabledDate);
    assert.deepEqual(await ids(ApiKeyStatusFilter.ACTIVE), []);
    assert.deepEqual(await ids(ApiKeyStatusFilter.DEACTIVATED), [made.id]);
    await refused(412, 'API_KEY_NOT_ACTIVE', () => keys.extend(made.id));
    await keys.activate(made.id);
    assert.equal((await keys.get(made.id)).status, ApiKeyStatus.ENABLED);
    await keys.disable([made.id]);
    assert.equal((await keys.get(made.id)).status, ApiKeyStatus.DISABLED);
    await keys.activate([made.id]);
    await keys.extend(made.id);
    recent((await keys.get(made.id)).activationDate);

    const copy = await keys.duplicate(made.id, { displayName: 'copy', lifetimeDuration: 'P14D' });
    assert.match(copy.value, VALUE);
    assert.notEqual(copy.value, made.value);
    assert.notEqual(copy.id, made.id);
    assert.equal(copy.displayName, 'copy');
    assert.equal(copy.description, body.description);
    assert.deepEqual(copy.privileges, body.privileges);
    assert.equal(copy.status, ApiKeyStatus.SOON_TO_BE_EXPIRED);
    assert.deepEqual(await ids(ApiKeyStatusFilter.SOON_TO_BE_EXPIRED), [copy.id]);

    await keys.delete(copy.id);
    await refused(404, 'API_KEY_NOT_FOUND', () => keys.get(copy.id));
    await keys.delete([made.id]);
    assert.deepEqual(await keys.list(), []);
}

async function templates() {
    const made = await keys.create({}, { apiKeyTemplateId: 'anonymous-search' });
    assert.equal(made.displayName, 'Anonymous search');
    assert.equal(made.apiKeyTemplateId, 'anonymous-search');
    assert.equal(made.privacyLevel, ApiKeyPrivacyLevel.PUBLIC);
    assert.ok(made.privileges.length > 0);
    await keys.update({ ...made, privileges: [], displayName: 'search' });
    const read = await keys.get(made.id);
    assert.equal(read.displayName, 'search');
    assert.deepEqual(read.privileges, made.privileges);
    await keys.delete(made.id);
    await refused(404, 'TEMPLATE_NOT_FOUND', () => keys.create({}, { apiKeyTemplateId: 'none' }));
    await refused(400, 'INVALID_REQUEST', () => keys.create({}));
}

async function several() {
    const made = [];
    for (const displayName of ['a', 'b', 'c']) {
        made.push((await keys.create({ displayName })).id);
    }
    const [a, b, c] = made;
    assert.deepEqual(await ids(), made);
    await keys.disable([a, b]);
    assert.deepEqual(await ids(ApiKeyStatusFilter.ACTIVE), [c]);
    await keys.activate([b, c]);
    assert.deepEqual(await ids(ApiKeyStatusFilter.ACTIVE), [b, c]);
    for (const call of ['disable', 'activate', 'delete']) {
        await refused(412, 'API_KEY_NOT_FOUND', () => keys[call]([c, 'nobody']));
    }
    assert.deepEqual(await ids(ApiKeyStatusFilter.ACTIVE), [b, c]);
    await keys.delete(made);
    assert.deepEqual(await ids(), []);
}

async function strangers() {
    const { value, id } = await keys.create({ displayName: 'stranger' });
    const stranger = client({ accessToken: value }).apiKey;
    await refused(403, 'ACCESS_DENIED', () => stranger.list());
    recent((await keys.get(id)).lastUsedDate);
    await keys.disable(id);
    await refused(401, 'INVALID_TOKEN', () => stranger.list());
    await keys.delete(id);
    const elsewhere = client({ organizationId: 'elsewhere' }).apiKey;
    await refused(403, 'ACCESS_DENIED', () => elsewhere.list());
}

await lifecycle();
await templates();
await several();
await strangers();
stdout.write('ok\n');
